"""The known TrialPlans: the newest version counts, and one that can't be parsed is a Problem."""

from collections.abc import Mapping
from typing import Any

from lcm_operator.api import names, reasons
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.plan import TrialPlan
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.api.trial import Trial
from lcm_operator.api.unread import unread
from lcm_operator.controllers.complaints import Complaints, unreadable_text
from lcm_operator.domain.snapshot import Problem
from lcm_operator.kube.cache import ObjectCache, Place


class Plans:
    """TrialPlans by namespace and name. Those that can't be parsed are noted in `complaints`."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self.known: ObjectCache[Place, TrialPlan | Problem] = ObjectCache()

    def put(self, metadata: Metadata, raw: Mapping[str, Any]) -> bool:
        """Take in a TrialPlan; return whether it is newer than what is known."""
        place = (metadata.namespace, metadata.name)
        if not self.known.is_news(place, metadata.uid, metadata.resource_version):
            return False
        plan: TrialPlan | Problem
        try:
            plan = parse(raw, TrialPlan)
        except MalformedError as error:
            plan = Problem(reasons.PLAN_MALFORMED, f"TrialPlan {place[1]}: {error}")
            self._complaints.note("TrialPlan", metadata, unreadable_text(error))
        else:
            self._complaints.note("TrialPlan", metadata, unread(plan))
        return self.known.put(place, metadata.uid, metadata.resource_version, plan)

    def drop(self, namespace: str, name: str, uid: str) -> bool:
        """Forget a deleted TrialPlan; return whether it was known, and not replaced since."""
        known = self.known.drop((namespace, name), uid) is not None
        if known:
            self._complaints.forget("TrialPlan", namespace, name)
        return known

    def of(self, trial: Trial) -> TrialPlan | Problem | None:
        """Return the TrialPlan that a Trial uses; None if its plan is inline."""
        name = plan_name(trial)
        if name is None:
            return None
        missing = Problem(reasons.PLAN_NOT_FOUND, f"TrialPlan {name} does not exist")
        return self.known.get((trial.metadata.namespace, name)) or missing

    def uid(self, namespace: str, name: str) -> str | None:
        """Return the UID of a TrialPlan, None if it is not known."""
        known = self.known.entry((namespace, name))
        return known.uid if known is not None else None


def plan_name(trial: Trial) -> str | None:
    """Return the name of the TrialPlan that a Trial uses; None if its plan is inline."""
    if trial.spec.activities:
        return None
    return trial.spec.plan_ref.name if trial.spec.plan_ref else names.DEFAULT_PLAN
