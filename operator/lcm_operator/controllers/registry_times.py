"""The start times that trial registries have reported in this term, and which Trials wait for an answer.

A cache only: start times that matter are written to the Trials. It keeps times of existing Trials, not of all
that a registry lists.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from lcm_operator.api.trial import Trial
from lcm_operator.controllers.key import Key
from lcm_operator.domain.snapshot import Observation, RegistryLook

Place = tuple[str, str]
"""Namespace and name of a TrialRegistry."""
Report = Observation[datetime | None]
"""A start time; None: the registry does not have the trial."""


@dataclass
class _Known:
    """One registry. Everything of an earlier term is dropped."""

    reports: dict[str, Report] = field(default_factory=dict)
    """By trial ID."""
    failed: Observation[str] | None = None
    """Why the last list was not read, if it was not."""
    failed_singly: dict[str, Observation[str]] = field(default_factory=dict)
    wanted: dict[str, datetime] = field(default_factory=dict)
    """By the UIDs of Trials, when an answer was requested."""
    waiting: dict[str, Key] = field(default_factory=dict)
    """Trials, by trial ID, that are examined after the registry's answer."""
    is_wanted: bool = False
    queued: Observation[int] | None = None
    """That a request for the list waits for its turn, behind so many others."""
    sent: datetime | None = None
    """When the last request for the list went out."""


class RegistryTimes:
    """Reported start times by registry and trial ID. `call`: asks a registry on demand."""

    def __init__(self) -> None:
        self._known: defaultdict[Place, _Known] = defaultdict(_Known)
        self._term = 0
        self.news = 0
        """Grows whenever there may be something new."""
        self.call: Callable[[Place], None] = lambda _: None

    def begin_term(self, term: int = 0) -> None:
        """Drop all reports of earlier terms: they may be outdated."""
        self._term = term
        self.news += 1
        self._known.clear()

    def report_list(
        self, place: Place, times: Mapping[str, datetime], own: Collection[str], read: datetime
    ) -> None:
        """Note what a list reported of the trial IDs `own`; `read`: when it was requested."""
        known = self._known[place]
        reports = {trial_id: report for trial_id, report in known.reports.items() if trial_id in own}
        reports |= {
            trial_id: Observation(time, read, self._term)
            for trial_id, time in times.items()
            if trial_id in own
        }
        known.reports, known.failed, known.is_wanted = reports, None, False
        self.news += 1
        known.failed_singly = {key: why for key, why in known.failed_singly.items() if key in own}

    def report_one(self, place: Place, trial_id: str, time: datetime | None, read: datetime) -> None:
        """Note what a registry reported of one trial; None: it does not have it."""
        known = self._known[place]
        known.reports[trial_id] = Observation(time, read, self._term)
        self.news += 1
        known.failed_singly.pop(trial_id, None)

    def fail(self, place: Place, why: str, read: datetime) -> None:
        """Note that a registry returned no list."""
        known = self._known[place]
        known.queued = None
        known.failed, known.is_wanted = Observation(why, read, self._term), False
        self.news += 1

    def fail_one(self, place: Place, trial_id: str, why: str, read: datetime) -> None:
        """Note that a registry reported nothing of one trial."""
        self._known[place].failed_singly[trial_id] = Observation(why, read, self._term)
        self.news += 1

    def want(self, trial: Trial, key: Key, now: datetime) -> None:
        """Have the registry of a Trial asked at once; the Trial waits for the answer."""
        place = registry_of(trial)
        if place is None:
            return
        known = self._known[place]
        known.wanted[trial.metadata.uid] = now
        known.waiting[trial.trial_id] = key
        known.is_wanted = True
        self.call(place)

    def queue(self, place: Place, others: int, now: datetime) -> None:
        """Note that the request for a list waits for its turn: `others` are under way."""
        known = self._known[place]
        known.queued = Observation(others, now, self._term)
        self.news += 1

    def send(self, place: Place, now: datetime) -> None:
        """Note that the request for a list is sent."""
        known = self._known[place]
        known.queued, known.sent = None, now
        self.news += 1

    def ask(self, place: Place) -> None:
        """Have a registry asked at once, for no trial in particular."""
        self._known[place].is_wanted = True
        self.call(place)

    def is_wanted(self, place: Place) -> bool:
        """Return whether a registry is to be asked on demand."""
        return place in self._known and self._known[place].is_wanted

    def is_awaited(self, place: Place) -> bool:
        """Return whether a Trial waits for a registry's answer."""
        return place in self._known and bool(self._known[place].waiting)

    def take_waiting(self, place: Place, trial_ids: Collection[str] | None = None) -> list[Key]:
        """Return, and remove, the keys that wait for these trials (None: for any)."""
        if place not in self._known:
            return []
        waiting = self._known[place].waiting
        named = [trial_id for trial_id in waiting if trial_ids is None or trial_id in trial_ids]
        return [waiting.pop(trial_id) for trial_id in named]

    def forget(self, place: Place) -> None:
        """Forget a deleted TrialRegistry."""
        self._known.pop(place, None)
        self.news += 1

    def reported(self, trials: Collection[Trial]) -> dict[str, Observation[datetime]]:
        """Return the times that registries have reported of these Trials, by their UIDs."""
        found = {}
        for trial in trials:
            report = self._report_of(trial)
            if report is not None and report.value is not None:
                found[trial.metadata.uid] = Observation(report.value, report.time, report.term)
        return found

    def looks(self, trials: Collection[Trial]) -> dict[str, RegistryLook]:
        """Return the results of requests for these Trials, by their UIDs; none for those not asked for."""
        found = {}
        for trial in trials:
            place = registry_of(trial)
            if place is None or place not in self._known:
                continue
            known, report = self._known[place], self._report_of(trial)
            failed = known.failed_singly.get(trial.trial_id) or known.failed
            look = RegistryLook(
                answered=report.time if report is not None else None,
                failed=failed,
                wanted=known.wanted.get(trial.metadata.uid),
            )
            if look != RegistryLook():
                found[trial.metadata.uid] = replace(look, queued=known.queued, sent=known.sent)
        return found

    def _report_of(self, trial: Trial) -> Report | None:
        place = registry_of(trial)
        if place is None or place not in self._known:
            return None
        return self._known[place].reports.get(trial.trial_id)


def registry_of(trial: Trial) -> Place | None:
    """Return the TrialRegistry of a Trial, None if it has none."""
    if trial.spec.registry_ref is None:
        return None
    return trial.metadata.namespace, trial.spec.registry_ref.name
