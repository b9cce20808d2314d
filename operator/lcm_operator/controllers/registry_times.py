"""What trial registries have told this process, and which of them somebody wants to be asked soon.

A cache only: what matters is written to the Trials. Part of `controllers.store`; filled by
`controllers.registries`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from lcm_operator.api.trial import Trial
from lcm_operator.domain.observation import Observation

Place = tuple[str, str]
"""Namespace and name of a TrialRegistry."""


class RegistryTimes:
    """Start times by registry and trial ID."""

    def __init__(self) -> None:
        self._times: dict[Place, Observation[Mapping[str, datetime]]] = {}
        self._asked: dict[Place, datetime] = {}
        self._wanted: set[Place] = set()

    def tell(self, place: Place, times: Mapping[str, datetime], *, read: datetime, term: int) -> None:
        """Remember what a registry has reported; `read`: when it was asked, `term`: and in which term."""
        self._times[place] = Observation(times, read, term)

    def begin_term(self) -> None:
        """Drop all that earlier terms learnt: other leaders may know better by now."""
        self._times.clear()
        self._asked.clear()

    def begin(self, place: Place, now: datetime) -> None:
        """Note that a registry is being asked."""
        self._asked[place] = now
        self._wanted.discard(place)

    def want(self, place: Place) -> None:
        """Have a registry asked soon."""
        self._asked[place] = datetime.now(UTC)
        self._wanted.add(place)

    def is_wanted(self, place: Place) -> bool:
        """Return whether somebody wants a registry to be asked."""
        return place in self._wanted

    def forget(self, place: Place) -> None:
        """Forget a TrialRegistry that is gone."""
        self._times.pop(place, None)
        self._asked.pop(place, None)
        self._wanted.discard(place)

    def reported(self, trials: tuple[Trial, ...]) -> dict[str, Observation[datetime]]:
        """Return the times that registries have reported of these Trials, by their UIDs."""
        found = ((trial.metadata.uid, self.time_of(trial)) for trial in trials)
        return {uid: time for uid, time in found if time is not None}

    def time_of(self, trial: Trial) -> Observation[datetime] | None:
        """Return what the registry of a Trial has reported of it."""
        place = registry_of(trial)
        listing = self._times.get(place) if place else None
        found = listing.value.get(trial.trial_id) if listing else None
        return Observation(found, listing.time, listing.term) if listing and found else None

    def asked(self, trial: Trial) -> datetime | None:
        """Return when the registry of a Trial was last asked."""
        place = registry_of(trial)
        return self._asked.get(place) if place else None


def registry_of(trial: Trial) -> Place | None:
    """Return the TrialRegistry that a Trial has its start time from."""
    if trial.spec.registry_ref is None:
        return None
    return trial.metadata.namespace, trial.spec.registry_ref.name
