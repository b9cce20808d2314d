"""What a pull of a registry brings about: Trials to be made, held back or let go on. Pure.

Called by `controllers.registries` with what the registry has just told and what is known of the namespace.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lcm_operator.api import names
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.trial import Trial
from lcm_operator.domain.trial_status import outcome


@dataclass(frozen=True)
class Told:
    """What a registry has told: start times by trial ID. `missing`: those of our IDs that it has not."""

    times: Mapping[str, datetime]
    missing: frozenset[str] = frozenset()


def to_import(
    registry: TrialRegistry, told: Told, known: Iterable[str], now: datetime
) -> Iterator[tuple[str, datetime]]:
    """Go through the IDs and times for which Trials are to be made: ahead, not known here, not ignored."""
    if registry.spec.import_ == "All":
        passed_over = {*known, *registry.status.ignored}
        for trial_id, begin in told.times.items():
            if begin > now and trial_id not in passed_over:
                yield trial_id, begin


def manifest(registry: TrialRegistry, trial_id: str, begin: datetime, name: str) -> dict[str, Any]:
    """Return the Trial that is made for an entry of the registry."""
    told = begin.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Trial",
        "metadata": {
            "name": name,
            "namespace": registry.metadata.namespace,
            "annotations": {names.ANNOTATION_REGISTRY_START_TIME: told},
            "finalizers": [names.FINALIZER_IMPORT],
        },
        "spec": {
            **registry.spec.trial_template,
            "trialID": trial_id,
            "registryRef": {"name": registry.metadata.name},
        },
    }


def is_imported(trial: Trial) -> bool:
    """Return whether a Trial was made by a pull."""
    return names.FINALIZER_IMPORT in trial.metadata.finalizers


def suspension(registry: TrialRegistry, told: Told, trial: Trial, now: datetime) -> dict[str, Any] | None:
    """Return the merge patch that holds a vanished trial back, or lets go on one that is there again.

    What people have written in between stands: one that they resumed is not suspended again.
    """
    noted = names.ANNOTATION_VANISHED in trial.metadata.annotations
    if not is_imported(trial) or trial.status.started_time is not None or outcome(trial) is not None:
        return None
    guard = {"resourceVersion": trial.metadata.resource_version}
    if noted and trial.trial_id in told.times:
        cleared = {"metadata": guard | {"annotations": {names.ANNOTATION_VANISHED: None}}}
        return cleared | ({"spec": {"suspend": False}} if trial.spec.suspend else {})
    if noted or trial.spec.suspend or registry.spec.on_vanished != "Suspend":
        return None
    if trial.trial_id not in told.missing or trial.metadata.deletion_timestamp is not None:
        return None
    since = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": guard | {"annotations": {names.ANNOTATION_VANISHED: since}},
        "spec": {"suspend": True},
    }


def still_ignored(registry: TrialRegistry, by_hand: Iterable[str]) -> tuple[str, ...]:
    """Return the IDs that are not imported, without those that somebody has scheduled `by_hand`."""
    wanted = set(by_hand)
    return tuple(trial_id for trial_id in registry.status.ignored if trial_id not in wanted)
