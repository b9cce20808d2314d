"""The operator's cache: slots of Trials and their TrialEngine, fed by watches and by our own writes.

Everything in it can be read again from the API server. It parses raw objects once and gives `domain` its
frozen snapshots.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from lcm_operator.api import names, reasons
from lcm_operator.api.engine import PodRef, TrialEngine
from lcm_operator.api.metadata import metadata_of
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.api.trial import Trial
from lcm_operator.api.unread import unread
from lcm_operator.controllers.complaints import Complaints, unreadable_text
from lcm_operator.controllers.key import Due, Key
from lcm_operator.controllers.leftovers import Leftovers
from lcm_operator.controllers.plans import Plans
from lcm_operator.controllers.pods import seen_pod
from lcm_operator.controllers.references import References
from lcm_operator.controllers.registry_times import RegistryTimes, registry_of
from lcm_operator.controllers.slots import Slot, Thing, identity
from lcm_operator.domain.annotations import ineffective
from lcm_operator.domain.ownership import is_ours
from lcm_operator.domain.snapshot import Observation, PendingPod, Pod, Settings, Snapshot, value_of
from lcm_operator.domain.start_time import last_try, start_time_of, urgency_of
from lcm_operator.kube.cache import ObjectCache, Place
from lcm_operator.kube.clock import Clock

_MOST_REPLACED = 10_000
_MOST_TEXTS = 10
T = TypeVar("T")


class SlotCache:
    """All slots, and the plans."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.term = 0
        """How often this process has become the leader."""
        self._slots: dict[Key, Slot] = {}
        self._namespaces: dict[str, dict[Key, None]] = {}
        self.known_trials: ObjectCache[Place, Key] = ObjectCache()
        self.known_engines: ObjectCache[Place, Key] = ObjectCache()
        """Parsed or not, each with the key of its slot."""
        self.registries = RegistryTimes()
        self.leftovers = Leftovers()
        self.complaints = Complaints()
        """Objects that can't be parsed, to be reported."""
        self.plans = Plans(self.complaints)
        self.references = References()
        self.replaced: deque[Trial] = deque(maxlen=_MOST_REPLACED)
        """Trials that were replaced by one of their name before their deletion was seen, to be reported."""

    @property
    def settings(self) -> Settings:
        """What the decisions depend on besides the snapshots."""
        return self._settings

    def all_keys(self) -> list[Key]:
        """Return the keys of all slots."""
        return list(self._slots)

    def slot(self, key: Key) -> Slot:
        """Return the slot of `key`; create it if there is none."""
        if (slot := self._find(key)) is not None:
            return slot
        slot = self._slots[key] = Slot(term=self.term)
        self._namespaces.setdefault(key.namespace, {})[key] = None
        return slot

    def _find(self, key: Key) -> Slot | None:
        """Return the slot of `key` as it is known in this term, None if there is none."""
        slot = self._slots.get(key)
        if slot is not None and slot.term != self.term:
            slot.begin_term(self.term)
        return slot

    def trial(self, namespace: str, name: str) -> Trial | None:
        """Return a Trial by its name, if it is known."""
        key = self.known_trials.get((namespace, name))
        return self._slots[key].trials.get(name) if key else None

    def key_of(self, trial: Trial) -> Key:
        """Return the key of the slot that a Trial belongs to."""
        return Key(trial.metadata.namespace, names.engine_name(trial.trial_id))

    def slots(self) -> Iterator[tuple[Key, Slot]]:
        """Yield all slots as they are known in this term; changes meanwhile may be seen or not."""
        for key in self.all_keys():
            if (slot := self._find(key)) is not None:
                yield key, slot

    def trials_in(self, namespace: str) -> list[Trial]:
        """Return the Trials of a namespace that could be parsed."""
        slots = (self._slots[key] for key in self._namespaces.get(namespace, ()))
        return [trial for slot in slots for trial in slot.trials.values()]

    def trials_by(self, registry: Place) -> list[Trial]:
        """Return the Trials that have their start time from a TrialRegistry."""
        return [trial for trial in self.trials_in(registry[0]) if registry_of(trial) == registry]

    def knows(self, key: Key) -> bool:
        """Return whether there is anything in the slot of `key`."""
        return key in self._slots

    def engine(self, key: Key) -> TrialEngine | None:
        """Return the TrialEngine of `key`, if it is known."""
        slot = self._find(key)
        return slot.engine if slot else None

    def snapshot(self, key: Key, now: datetime | None = None) -> Snapshot:
        """Return the input of `decide`; of many Trials of one ID only some, and others the next time."""
        slot = self._find(key) or Slot()
        chosen = slot.trials.holder(slot.engine)
        trials = slot.trials.to_decide(slot.engine, now, self.registries.news)
        return Snapshot(
            name=key.name,
            trials=trials,
            engine=slot.engine,
            unreadable="; ".join(islice(slot.unreadable.values(), _MOST_TEXTS)),
            unreadable_engine=slot.unreadable_engine,
            unreadable_runs=slot.unreadable_runs,
            stranger=bool(slot.stranger),
            plan=self.plans.of(chosen) if chosen else None,
            plan_faults=self.plans.faults(chosen) if chosen else "",
            plan_read=slot.plan_read,
            pod=slot.current_pod(),
            leftovers=self.leftovers.of(key, slot.engine),
            pods_listed=self.leftovers.listed_in == self.term,
            renewals=slot.renewals,
            pending=slot.pending,
            log=slot.log,
            admission=slot.admission,
            refusal=slot.refusal,
            reported=self.registries.reported(trials),
            looks=self.registries.looks(trials),
            references=self.references.in_namespace(key.namespace),
            watched=self.references.watched(key),
            engine_gone=slot.engine_gone,
            departed=slot.departed,
            engine_read_after_end=slot.engine_read_after_end,
            settings=self._settings,
        )

    def due(self, key: Key, now: datetime) -> Due:
        """Return what is due in a slot."""
        slot = self._find(key)
        if slot is None:
            return Due()
        chosen = slot.trials.holder(slot.engine)
        start_time = self.start_time_of(chosen) if chosen is not None else None
        urgency = urgency_of(chosen, slot.engine, start_time, slot.refusal, now)
        if chosen is None or start_time is None or chosen.status.started_time is not None:
            return Due(urgency, start_time)
        return Due(urgency, start_time, last_try(chosen, start_time))

    def holder(self, key: Key) -> Trial | None:
        """Return the Trial that holds the ID of a slot."""
        slot = self._find(key)
        return slot.trials.holder(slot.engine) if slot is not None else None

    def waits_for_start(self, key: Key) -> bool:
        """Return whether the holder of a slot is still to start."""
        chosen = self.holder(key)
        return chosen is not None and chosen.status.started_time is None

    def start_time_of(self, trial: Trial) -> datetime | None:
        """Return the start time that counts for a Trial."""
        return start_time_of(trial, self.registries.reported((trial,)))

    def put_trial(self, raw: Mapping[str, Any]) -> list[Key]:
        """Add a Trial; return the keys that are concerned, none if nothing is new."""
        try:
            trial = parse(raw, Trial)
        except MalformedError as error:
            return self._put_unreadable("Trial", raw, error)
        place = (trial.metadata.namespace, trial.metadata.name)
        key = self.key_of(trial)
        before = self.known_trials.get(place)
        known = self._slots[before].trials.get(trial.metadata.name) if before else None
        if not self.known_trials.put(place, trial.metadata.uid, trial.metadata.resource_version, key):
            return []
        if known is not None and known.metadata.uid != trial.metadata.uid:
            self.replaced.append(known)
        self._note("Trial", trial)
        if before is not None and before != key:  # re-created with another ID
            self._slots[before].trials.drop(trial.metadata.name)
            self._slots[before].unreadable.pop(Thing("Trial", identity(trial.metadata)), None)
        slot = self.slot(key)
        slot.trials.put(trial)
        slot.unreadable.pop(Thing("Trial", identity(trial.metadata)), None)
        if known is None or known.status.started_time != trial.status.started_time:
            slot.engine_gone = False
        if known is not None and known.metadata.generation != trial.metadata.generation:
            slot.refusal = None
        return [key] if before in (None, key) else [key, before]

    def drop_trial(self, namespace: str, name: str, uid: str) -> Key | None:
        """Forget a deleted Trial; return its key if it was known."""
        key = self.known_trials.get((namespace, name))
        is_gone = self.known_trials.drop((namespace, name), uid) is not None
        if key is None:
            return None
        slot = self.slot(key)
        slot.unreadable.pop(Thing("Trial", (namespace, name, uid)), None)
        known = slot.trials.get(name)
        if known is not None and known.metadata.uid != uid:
            return None
        slot.trials.drop(name)
        if is_gone:
            self.complaints.forget("Trial", namespace, name)
        return key

    def put_engine(self, raw: Mapping[str, Any]) -> list[Key]:
        """Add a TrialEngine; return its key, none if nothing is new."""
        try:
            engine = parse(raw, TrialEngine)
        except MalformedError as error:
            return self._put_unreadable("TrialEngine", raw, error)
        key = Key(engine.metadata.namespace, engine.metadata.name)
        metadata = engine.metadata
        if not self.known_engines.put((*key,), metadata.uid, metadata.resource_version, key):
            return []
        slot = self.slot(key)
        known = slot.engine is not None and slot.engine.metadata.uid == metadata.uid
        if not known and not is_ours(engine):
            slot.stranger = metadata.uid
            return [key]
        if slot.engine is not None and slot.engine.metadata.uid != engine.metadata.uid:
            self.leftovers.leave(key, slot.engine, slot.last_pod)
        if slot.engine is None or slot.engine.metadata.uid != engine.metadata.uid:
            slot.set_pod(None)
            slot.admission = slot.refusal = slot.renewals = None
        slot.engine, slot.stranger, slot.engine_gone = engine, "", False
        slot.departed = None
        slot.unreadable_engine = None
        self._note("TrialEngine", engine)
        slot.unreadable.pop(Thing("TrialEngine", identity(engine.metadata)), None)
        return [key]

    def _note(self, kind: str, thing: Trial | TrialEngine) -> None:
        self.complaints.note(kind, thing.metadata, unread(thing))
        self.complaints.note(kind, thing.metadata, ineffective(thing.metadata), reasons.UNKNOWN_ANNOTATION)

    def drop_engine(self, namespace: str, name: str, uid: str) -> Key | None:
        """Forget a deleted TrialEngine; return its key if it was known.

        Its last state is kept as long as a Trial may be judged by it.
        """
        self.known_engines.drop((namespace, name), uid)
        key = Key(namespace, name)
        slot = self._find(key)
        if slot is None:
            return None
        if slot.stranger == uid:
            slot.stranger = ""
        slot.unreadable.pop(Thing("TrialEngine", (namespace, name, uid)), None)
        if slot.unreadable_engine is not None and slot.unreadable_engine.uid == uid:
            slot.unreadable_engine = None
        self.complaints.forget("TrialEngine", namespace, name)
        if slot.engine is not None and slot.engine.metadata.uid == uid:
            slot.departed = slot.engine if slot.may_be_judged() else None
            self.leftovers.leave(key, slot.engine, slot.last_pod)
            slot.engine, slot.admission = None, None
            slot.set_pod(None)
        return key

    def put_plan(self, raw: Mapping[str, Any]) -> list[Key]:
        """Add a TrialPlan; return the keys of the namespace that may wait for it."""
        metadata = metadata_of(raw)
        if not self.plans.put(metadata, raw):
            return []
        return self.keys_in(metadata.namespace)

    def keys_in(self, namespace: str) -> list[Key]:
        """Return the keys of a namespace."""
        return list(self._namespaces.get(namespace, ()))

    def put_pod(self, raw: Mapping[str, Any]) -> Key | None:
        """Note a pod that a watch shows, if it is the one of a current attempt; return its key.

        A standby does so as well: the pod may no longer exist when it is read later, and then nobody else
        knows how it ended.
        """
        metadata = metadata_of(raw)
        key = Key(metadata.namespace, metadata.labels.get(names.LABEL_TRIAL, ""))
        if metadata.uid in self.leftovers:
            return self.leftovers.end(metadata.uid) if seen_pod(raw).ended else None
        slot = self._find(key)
        if slot is None or metadata.uid not in slot.pod_uids():
            return None
        slot.set_pod(self.observed(seen_pod(raw)))
        return key

    def set_pending(self, key: Key, uid: str, why: str) -> bool:
        """Note why a pod does not run, empty if it does; return whether that is new."""
        slot = self._find(key)
        if slot is None:
            return False
        if not why:
            known = slot.pending is not None and slot.pending.uid == uid
            slot.pending = None if known else slot.pending
            return known
        before, slot.pending = slot.pending, PendingPod(uid, why)
        return slot.pending != before

    def doubt_pod(self, key: Key, uid: str) -> bool:
        """Forget what is known of a granted pod that may have ended unseen, so that it is read again.

        Return whether there was something to forget.
        """
        slot = self._find(key)
        pod = value_of(slot.pod) if slot is not None else None
        if slot is None or not isinstance(pod, Pod) or pod.ended or pod.uid != uid:
            return False
        slot.set_pod(None)
        return True

    def granted(self) -> list[tuple[Key, TrialEngine, PodRef]]:
        """Return every TrialEngine that has a grant whose end is not known."""
        return [
            (key, slot.engine, slot.engine.status.pod_ref)
            for key, slot in self._with_engine()
            if slot.engine is not None
            and slot.engine.status.pod_ref is not None
            and slot.engine.status.pod_ref.end_time is None
        ]

    def _with_engine(self) -> Iterator[tuple[Key, Slot]]:
        for key in list(self.known_engines):
            slot = self._find(key)
            if slot is not None:
                yield key, slot

    def observed(self, value: T) -> Observation[T]:
        """Return an observation made now, in the current term."""
        return Observation(value, self._clock.now(), self.term)

    def begin_term(self) -> None:
        """Drop the observations of earlier terms: another leader may have changed things unseen."""
        self.term += 1
        self.registries.begin_term(self.term)
        self.references.begin_term()

    def drop_plan(self, namespace: str, name: str, uid: str) -> bool:
        """Forget a deleted TrialPlan; return whether it was known, and not replaced since."""
        return self.plans.drop(namespace, name, uid)

    def forget_if_empty(self, key: Key) -> bool:
        """Remove a slot that is empty; return whether it no longer exists."""
        slot = self._slots.get(key)
        if slot is not None and not (slot.trials or slot.engine or slot.stranger or slot.unreadable):
            del self._slots[key]
            del self._namespaces[key.namespace][key]
            if not self._namespaces[key.namespace]:
                del self._namespaces[key.namespace]
        return key not in self._slots

    def _put_unreadable(self, kind: str, raw: Mapping[str, Any], why: MalformedError) -> list[Key]:
        """Note that an object can't be parsed: nothing may be decided as if it did not exist."""
        metadata = metadata_of(raw)
        spec = raw.get("spec")
        trial_id = spec.get("trialID") if isinstance(spec, dict) else None
        engine = names.engine_name(trial_id if isinstance(trial_id, str) else metadata.name)
        key = Key(metadata.namespace, engine if kind == "Trial" else metadata.name)
        known = self.known_trials if kind == "Trial" else self.known_engines
        place = metadata.namespace, metadata.name
        if (before := known.entry(place)) is not None and before.uid == metadata.uid:
            key = before.value  # its ID can't change, only become unreadable
        if not known.put(place, metadata.uid, metadata.resource_version, key):
            return []
        slot, thing = self.slot(key), Thing(kind, identity(metadata))
        slot.unreadable[thing] = f"{kind} {metadata.name}: {why}"
        self.complaints.note(kind, metadata, unreadable_text(why))
        if kind == "Trial":
            slot.trials.drop(metadata.name)
        else:
            slot.engine, slot.unreadable_engine = None, metadata
        return [key]
