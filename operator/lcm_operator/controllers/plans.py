"""The known TrialPlans: the newest version counts, and one that can't be parsed is a Problem."""

from collections import OrderedDict
from collections.abc import Mapping
from itertools import islice
from typing import Any

import msgspec

from lcm_operator.api import reasons
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.plan import Plan, TrialPlan
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.api.trial import Trial
from lcm_operator.api.unread import unread
from lcm_operator.controllers.complaints import Complaints, unreadable_text
from lcm_operator.domain.engine_spec import plan_not_found
from lcm_operator.domain.snapshot import Problem
from lcm_operator.kube.cache import ObjectCache, Place
from lcm_operator.plan import lint

_MOST_CHECKED = 20_000
_MOST_FAULTS = 10


class Plans:
    """TrialPlans by namespace and name. Those that can't be parsed are noted in `complaints`."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self.known: ObjectCache[Place, TrialPlan | Problem] = ObjectCache()
        self._missing: dict[Place, Problem] = {}
        """The problems of plans that do not exist, until another plan is seen: similar names are costly."""
        self._faults: OrderedDict[tuple[str, int], str] = OrderedDict()
        """By UID and generation of the TrialPlan, or of the Trial with an inline plan."""

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
        self._missing.clear()
        return self.known.put(place, metadata.uid, metadata.resource_version, plan)

    def drop(self, namespace: str, name: str, uid: str) -> bool:
        """Forget a deleted TrialPlan; return whether it was known, and not replaced since."""
        known = self.known.drop((namespace, name), uid) is not None
        if known:
            self._missing.clear()
            self._complaints.forget("TrialPlan", namespace, name)
        return known

    def of(self, trial: Trial) -> TrialPlan | Problem | None:
        """Return the TrialPlan that a Trial uses; None if its plan is inline."""
        name, namespace = trial.plan_name, trial.metadata.namespace
        if name is None:
            return None
        known = self.known.get((namespace, name))
        if known is not None:
            return known
        place = (namespace, trial.spec.plan_ref.name if trial.spec.plan_ref is not None else "")
        missing = self._missing.get(place)
        if missing is None:
            others = [other for space, other in self.known.entries() if space == namespace]
            missing = self._missing[place] = plan_not_found(trial, others)
        return missing

    def faults(self, trial: Trial) -> str:
        """Return the faults that `lcm plan check` finds in the plan of a trial before its start."""
        plan = self.of(trial)
        if trial.status.started_time is not None or isinstance(plan, Problem):
            return ""
        metadata = trial.metadata if plan is None else plan.metadata
        version = (metadata.uid, metadata.generation)
        known = self._faults.get(version)
        if known is None:
            known = self._faults[version] = _faults(trial, plan)
            while len(self._faults) > _MOST_CHECKED:
                self._faults.popitem(last=False)
        return known

    def uid(self, namespace: str, name: str) -> str | None:
        """Return the UID of a TrialPlan, None if it is not known."""
        known = self.known.entry((namespace, name))
        return known.uid if known is not None else None


def _faults(trial: Trial, plan: TrialPlan | None) -> str:
    if plan is None:
        found = lint.faults(_plain(trial.spec), trial.spec.parameters.keys())
    else:
        found = lint.faults(_plain(plan.spec), {declared.name for declared in plan.spec.parameters})
    return "; ".join(map(str, islice(found, _MOST_FAULTS)))


def _plain(plan: Plan) -> Any:
    """Return a plan as it is in a file: `lint` is for those."""
    return msgspec.json.decode(msgspec.json.encode(plan))
