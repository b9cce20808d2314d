"""The TrialPlans that the operator has seen: the newest version counts, an unreadable one is a Problem."""

from collections.abc import Mapping
from typing import Any

from lcm_operator.api import names, reasons
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.plan import TrialPlan
from lcm_operator.api.storage import Malformed, parse
from lcm_operator.api.trial import Trial
from lcm_operator.api.unread import unread
from lcm_operator.controllers.complaints import Complaints, unreadable_text
from lcm_operator.controllers.known import Known
from lcm_operator.controllers.slots import Identity
from lcm_operator.domain.snapshot import Problem


class Plans:
    """TrialPlans by namespace and name. What of them can't be read is noted in `complaints`."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self.known = Known()
        self._plans: dict[tuple[str, str], TrialPlan | Problem] = {}

    def put(self, metadata: Metadata, raw: Mapping[str, Any]) -> bool:
        """Take in a TrialPlan; return whether it is newer than what is known."""
        place = (metadata.namespace, metadata.name)
        if int(metadata.resource_version) <= self.known.version(*place):
            return False
        self.known.put(metadata)
        try:
            self._plans[place] = plan = parse(raw, TrialPlan)
        except Malformed as error:
            self._plans[place] = Problem(reasons.PLAN_MALFORMED, f"TrialPlan {place[1]}: {error}")
            self._complaints.note("TrialPlan", metadata, unreadable_text(error))
        else:
            self._complaints.note("TrialPlan", metadata, unread(plan))
        return True

    def drop(self, namespace: str, name: str, uid: str) -> bool:
        """Forget a TrialPlan that is gone; return whether it was known, and not replaced since."""
        known = self.known.drop(namespace, name, uid)
        if known:
            del self._plans[namespace, name]
            self._complaints.forget("TrialPlan", namespace, name)
        return known

    def of(self, trial: Trial) -> TrialPlan | Problem | None:
        """Return the TrialPlan that a Trial uses; None if its plan is inline."""
        name = plan_name(trial)
        if name is None:
            return None
        missing = Problem(reasons.PLAN_NOT_FOUND, f"TrialPlan {name} does not exist")
        return self._plans.get((trial.metadata.namespace, name), missing)

    def uid(self, namespace: str, name: str) -> str | None:
        """Return the UID of a TrialPlan as far as it is known."""
        return self.known.uid(namespace, name)

    def identities(self) -> set[Identity]:
        """Return namespace, name and UID of every TrialPlan, those that can't be read included."""
        return self.known.identities()


def plan_name(trial: Trial) -> str | None:
    """Return the name of the TrialPlan that a Trial uses; None if its plan is inline."""
    if trial.spec.activities:
        return None
    return trial.spec.plan_ref.name if trial.spec.plan_ref else names.DEFAULT_PLAN
