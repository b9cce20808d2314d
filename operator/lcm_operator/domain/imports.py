"""What a registry's list brings about: Trials to be made, resumed, moved, suspended or asked for. Pure.

`compare` takes the list and what is known of the namespace; `controllers.registry_pull` carries out what it
returns. What was imported is remembered on the TrialRegistry, in `status.imports`: a digest and the start
time for each Trial that has not started, until the registry lists it no more. One that is there and whose
Trial is gone was deleted by somebody, whatever its start time is now.
"""

import base64
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

from msgspec.structs import replace

from lcm_operator.api import names, reasons
from lcm_operator.api.registry import TrialRegistry, TrialRegistryStatus
from lcm_operator.api.storage import rfc3339
from lcm_operator.api.times import in_utc
from lcm_operator.api.trial import Trial
from lcm_operator.domain.status import has_outcome, outcome, resolved_start_time

MOST_REMEMBERED = 20_000
_KEPT_IGNORED = 1000
_DIGEST_BYTES = 9
_NEVER = datetime.min.replace(tzinfo=UTC)
_NOTHING: Mapping[str, datetime] = MappingProxyType({})


@dataclass(frozen=True)
class Changes:
    """What is to be done after a list was read."""

    moved: tuple[Trial, ...]
    """Trials for which the list has another time than their status, or the first."""
    resumed: tuple[Trial, ...]
    """Trials that had vanished and are listed again."""
    lacking: tuple[Trial, ...]
    """Trials that wait for their start and that the list does not have."""
    wanted: tuple[tuple[str, datetime], ...] = ()
    """What is to be imported, the soonest first; behind all others what was refused lately."""
    removed: tuple[str, ...] = ()
    """Trial IDs that were imported before, are listed, and have no Trial as far as we know."""
    beyond_limit: int = 0
    """How many more would be imported without spec.importLimit."""


def compare(
    registry: TrialRegistry,
    times: Mapping[str, datetime],
    trials: Collection[Trial],
    now: datetime,
    refused: Mapping[str, datetime] = _NOTHING,
) -> Changes:
    """Return what follows from a list; `trials`: all of the registry's namespace.

    `refused`: trial IDs of which the API server took no Trial, and when; they come after all others.
    """
    own = [trial for trial in trials if _is_of(trial, registry)]
    moved = [trial for trial in own if times.get(trial.trial_id) not in (None, trial.status.start_time)]
    resumed = [trial for trial in own if trial.trial_id in times and _is_held_back(trial)]
    lacking = [trial for trial in own if trial.trial_id not in times and _waits(trial)]
    if registry.spec.import_ != "All":
        return Changes(tuple(moved), tuple(resumed), tuple(lacking))
    passed_over = {*(trial.trial_id for trial in trials), *registry.status.ignored}
    listed = sorted(
        ((trial_id, at) for trial_id, at in times.items() if trial_id not in passed_over),
        key=lambda entry: (refused.get(entry[0], _NEVER), entry[1]),
    )
    was_imported = imported_before(registry)
    gone = [entry for entry in listed if was_imported(entry[0])]
    # What lies behind us takes no place of what lies ahead; it is remembered without.
    free = max(0, _KEPT_IGNORED - len(registry.status.ignored))
    behind = [trial_id for trial_id, at in gone if at <= now][:free]
    removed = [*behind, *(trial_id for trial_id, at in gone if at > now)]
    known = {trial_id for trial_id, _ in gone}
    wanted = [(trial_id, at) for trial_id, at in listed if at > now and trial_id not in known]
    waiting = sum(is_imported(trial) and _waits(trial) for trial in own)
    room = max(0, registry.spec.import_limit - waiting)
    return Changes(
        tuple(moved),
        tuple(resumed),
        tuple(lacking),
        wanted=tuple(wanted[:room]),
        removed=tuple(removed),
        beyond_limit=len(wanted[room:]),
    )


def next_look_ups(
    lacking: Iterable[Trial], asked: Mapping[str, datetime], now: datetime, urgent_within: timedelta
) -> list[Trial]:
    """Return the order in which Trials are asked for singly: what starts soon, then the longest not asked."""

    def rank(trial: Trial) -> tuple[bool, datetime, str]:
        start, last = resolved_start_time(trial), asked.get(trial.metadata.uid)
        is_urgent = start is not None and start - now <= urgent_within
        return (not is_urgent, last or datetime.min.replace(tzinfo=UTC), trial.metadata.name)

    return sorted(lacking, key=rank)


def manifest(
    registry: TrialRegistry, trial_id: str, start: datetime, name: str, read: datetime
) -> dict[str, Any]:
    """Return the Trial that is made for an entry of the registry; `read`: when the registry was asked."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Trial",
        "metadata": {
            "name": name,
            "namespace": registry.metadata.namespace,
            "annotations": {
                names.ANNOTATION_REGISTRY_START_TIME: in_utc(start),
                names.ANNOTATION_REGISTRY_READ_TIME: rfc3339(read),
                names.ANNOTATION_IMPORTED_BY: registry.metadata.name,
            },
        },
        "spec": {
            **registry.spec.trial_template,
            "trialID": trial_id,
            "registryRef": {"name": registry.metadata.name},
        },
    }


def is_imported(trial: Trial) -> bool:
    """Return whether a Trial was made by an import; earlier versions marked it by a finalizer."""
    return (
        names.ANNOTATION_IMPORTED_BY in trial.metadata.annotations
        or names.FINALIZER_IMPORT in trial.metadata.finalizers
    )


def is_imported_by(trial: Trial, registry: TrialRegistry) -> bool:
    """Return whether a Trial was made by an import from this registry."""
    return is_imported(trial) and _is_of(trial, registry)


def suspension(registry: TrialRegistry, trial: Trial, now: datetime) -> dict[str, Any] | None:
    """Return the merge patch that suspends a trial which the registry said it no longer has, if any.

    What people have written since stands: one that they resumed is not suspended again.
    """
    noted = names.ANNOTATION_VANISHED in trial.metadata.annotations
    if registry.spec.on_vanished != "Suspend" or not is_imported(trial) or noted or trial.spec.suspend:
        return None
    if not _waits(trial):
        return None
    annotations = {names.ANNOTATION_VANISHED: in_utc(now.replace(microsecond=0))}
    return {"metadata": _guard(trial) | {"annotations": annotations}, "spec": {"suspend": True}}


def resumption(trial: Trial) -> dict[str, Any]:
    """Return the merge patch that lets a trial go on that was suspended because it had vanished."""
    cleared = {"metadata": _guard(trial) | {"annotations": {names.ANNOTATION_VANISHED: None}}}
    return cleared | ({"spec": {"suspend": False}} if trial.spec.suspend else {})


def release(trial: Trial) -> dict[str, Any]:
    """Return the merge patch that takes the finalizer of earlier versions off; it stays an import."""
    left = [name for name in trial.metadata.finalizers if name != names.FINALIZER_IMPORT]
    metadata: dict[str, Any] = _guard(trial) | {"finalizers": left}
    if trial.spec.registry_ref is not None and trial.metadata.deletion_timestamp is None:
        metadata["annotations"] = {names.ANNOTATION_IMPORTED_BY: trial.spec.registry_ref.name}
    return {"metadata": metadata}


def imported_before(registry: TrialRegistry) -> Callable[[str], bool]:
    """Return what says of a trial ID whether it stands in `status.imports`."""
    memory = remembered(registry.status.imports)
    return lambda trial_id: bool(memory) and digest(trial_id) in memory


Fate = Literal["Imported", "Deleted", "DeletedIfRemembered", "Over"]


@dataclass(frozen=True)
class Note:
    """What has become of an import, to be noted on its TrialRegistry.

    Deleted: it is not imported again. DeletedIfRemembered: so if it still stands in `status.imports`; our own
    removal of a Trial that is over takes it out there first. Over: it is not remembered any more.
    """

    trial_id: str
    fate: Fate
    start: datetime | None = None


def removal(trial: Trial) -> Note | None:
    """Return what the end of a Trial says that is gone, whoever has deleted it; None: nothing."""
    if not is_imported(trial):
        return None
    if has_outcome(trial, reasons.CANCELLED):
        return Note(trial.trial_id, "Deleted")
    if trial.status.started_time is not None:
        return Note(trial.trial_id, "Over")
    return Note(trial.trial_id, "Deleted" if outcome(trial) is None else "DeletedIfRemembered")


def expiry(trial: Trial) -> Note | None:
    """Return what is to be noted before the operator removes a Trial that was kept for its time."""
    if not is_imported(trial):
        return None
    return Note(trial.trial_id, "Deleted" if has_outcome(trial, reasons.CANCELLED) else "Over")


def importer(trial: Trial) -> tuple[str, str] | None:
    """Return namespace and name of the TrialRegistry that a Trial was imported from."""
    ref = trial.spec.registry_ref
    name = trial.metadata.annotations.get(names.ANNOTATION_IMPORTED_BY) or (ref.name if ref else None)
    return (trial.metadata.namespace, name) if name is not None else None


def with_notes(status: TrialRegistryStatus, notes: Collection[Note]) -> TrialRegistryStatus:
    """Return the status of a TrialRegistry with what was noted."""
    memory, deleted = remembered(status.imports), []
    for note in notes:
        key = digest(note.trial_id)
        if note.start is not None:
            memory[key] = note.start
        if note.fate == "Deleted" or (note.fate == "DeletedIfRemembered" and key in memory):
            deleted.append(note.trial_id)
        elif note.fate == "Over":
            memory.pop(key, None)
    imports = noted(memory, ())
    return replace(
        status,
        ignored=ignored(status.ignored, deleted, ()) if deleted else status.ignored,
        imports=status.imports if set(imports) == set(status.imports) else imports,
    )


def digest(trial_id: str) -> str:
    """Return what stands for a trial ID in `status.imports`."""
    full = hashlib.sha256(trial_id.encode()).digest()
    return base64.urlsafe_b64encode(full[:_DIGEST_BYTES]).decode()


def remembered(imports: Iterable[str]) -> dict[str, datetime]:
    """Return start times by digests; what people have written there that is no such entry is passed over."""
    found = {}
    for entry in imports:
        key, _, seconds = entry.partition("/")
        if seconds.isascii() and seconds.isdigit() and len(seconds) <= 12:  # noqa: PLR2004 - to year 9999
            found[key] = datetime.fromtimestamp(min(int(seconds), 253402300799), UTC)
    return found


def remember(
    registry: TrialRegistry,
    trials: Iterable[Trial],
    made: Iterable[tuple[str, datetime]],
    times: Mapping[str, datetime],
    now: datetime,
    *,
    complete: bool,
) -> tuple[str, ...]:
    """Return `status.imports` anew: what it was, what is imported and what was just `made`.

    `trials`: all of the namespace. One that somebody has scheduled by hand is no import any more, nor one
    that has started. `complete`: what `times` lacks is not listed. Only then is something forgotten that has
    no Trial, and not before its start: the registry may give it another one.
    """
    memory, there = remembered(registry.status.imports), set()
    for trial in trials:
        key, start = digest(trial.trial_id), times.get(trial.trial_id) or resolved_start_time(trial)
        there.add(key)
        if not is_imported(trial) or (_is_of(trial, registry) and trial.status.started_time is not None):
            memory.pop(key, None)
        elif start is not None and _is_of(trial, registry) and _waits(trial):
            memory[key] = start
    passed = {key for key, start in memory.items() if start <= now} - there if complete else set()
    unlisted = passed - {digest(trial_id) for trial_id in times} if passed else passed
    return noted({key: start for key, start in memory.items() if key not in unlisted}, made)


def noted(memory: Mapping[str, datetime], made: Iterable[tuple[str, datetime]]) -> tuple[str, ...]:
    """Return `status.imports` of a memory and what was `made`; of too many the soonest are dropped."""
    known = {**memory} | {digest(trial_id): start for trial_id, start in made}
    latest = sorted(((start, key) for key, start in known.items()), reverse=True)[:MOST_REMEMBERED]
    return tuple(f"{key}/{int(start.timestamp())}" for start, key in latest)


def ignored(before: Iterable[str], removed: Collection[str], trials: Iterable[Trial]) -> tuple[str, ...]:
    """Return `status.ignored` anew: without what somebody has scheduled by hand, the last removed last."""
    by_hand = {trial.trial_id for trial in trials if not is_imported(trial)}
    left = [known for known in before if known not in by_hand and known not in removed]
    return (*left, *(trial_id for trial_id in removed if trial_id not in by_hand))[-_KEPT_IGNORED:]


def _waits(trial: Trial) -> bool:
    """Return whether a Trial is still to start."""
    over = trial.status.started_time is not None or outcome(trial) is not None
    return not over and trial.metadata.deletion_timestamp is None


def _is_of(trial: Trial, registry: TrialRegistry) -> bool:
    return trial.spec.registry_ref is not None and trial.spec.registry_ref.name == registry.metadata.name


def _is_held_back(trial: Trial) -> bool:
    return is_imported(trial) and names.ANNOTATION_VANISHED in trial.metadata.annotations and _waits(trial)


def _guard(trial: Trial) -> dict[str, Any]:
    return {"resourceVersion": trial.metadata.resource_version}
