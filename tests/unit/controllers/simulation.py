"""A small world around `decide`, `Apply` and `SlotCache`: API server, node, engines, people, and a clock.

It is driven by hand and without an event loop: nothing in it waits, so a whole life of a trial takes some
milliseconds, and each of its points can be the one at which the operator is killed or somebody interferes.

The engine in it is as reckless as it may be: once granted it acts until its pod is told to end. One whose pod
is removed by force goes on with what it does, for as long as an engine may that has lost the API server.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.harness.api_server import Json as Raw
from tests.harness.cluster import Cluster, uid_of
from tests.unit.controllers.clock import ClockOf
from tests.unit.controllers.replica import KEY, KilledError, Replica
from tests.unit.domain.builders import T, at, nap

from lcm_operator.api import names
from lcm_operator.api.storage import rfc3339
from lcm_operator.domain.actions import Act
from lcm_operator.domain.decide import decide
from lcm_operator.kube.errors import UnavailableError

_MOST_TURNS = 500
_HORIZON = at(3600)
LONGEST_SILENCE = timedelta(seconds=60)
"""The time-out of an engine whose longest act is a sleep."""
_LISTS = ("activities", "onFailure", "finally")
LONGEST_SILENCE = timedelta(seconds=60)
"""The time-out of an engine whose longest act is a sleep."""


@dataclass
class Simulation:
    """`kills`: at which points the operator is killed. `outages`: at which ones it gets no answer.

    A point lies before and after each write: of one that was not answered nobody knows whether it was done.
    `interfere`: what somebody does at one point. `freezes`: at which point the operator is stopped (SIGSTOP);
    another one leads until there is nothing left to do, then the first goes on with what it had in hand.

    `prompt`: the watches tell everything at once, and others act between any two steps of the operator; else
    both wait until it has nothing left to do.
    """

    kills: frozenset[int] = frozenset()
    outages: frozenset[int] = frozenset()
    interfere: tuple[int, Callable[[Cluster], None]] | None = None
    freezes: int | None = None
    prompt: bool = True
    fails: frozenset[tuple[str, int]] = frozenset()
    """Activities that fail, each with the attempt in which it does."""
    hangs: frozenset[tuple[str, int]] = frozenset()
    """Activities that do not come to an end, each with the attempt in which it does not."""
    people: list[tuple[Callable[[Cluster], bool], Callable[[Cluster], None]]] = field(default_factory=list)
    """What people do, in this order, each once they see that."""
    away: datetime | None = None
    """When a killed operator comes back; None: at once. Nodes and engines go on meanwhile."""
    activities: tuple[str, ...] = ("one", "two", "three")
    on_failure: tuple[str, ...] = ()
    finally_: tuple[str, ...] = ()
    engine: Raw = field(default_factory=dict)
    """`spec.engine` of the Trial."""
    plan: str | None = None
    """The TrialPlan that the Trial uses; None: its plan is inline."""
    log: str = ""
    """What each pod has logged."""

    def __post_init__(self) -> None:
        self.api = Cluster()
        self.now = at(-120)
        self._clock = ClockOf(lambda: self.now)
        self.points = 0
        self._observed = -1
        self.acts: list[tuple[str, int, int]] = []
        """What reached the outside: activity, run, attempt."""
        self.act_times: list[datetime] = []
        self.begun = False
        """Whether an activity was ever saved as begun."""
        self.grants: list[tuple[int, str]] = []
        self.latches: list[str] = []
        self.pods: dict[str, str] = {}
        """Every pod there ever was: UID and name."""
        self._granted: set[str] = set()
        self._ghosts: dict[str, datetime] = {}
        """UIDs of pods that were removed by force, and until when their engine continues."""
        plan: Raw = {
            "activities": [nap(name) for name in self.activities],
            "onFailure": [nap(name) for name in self.on_failure],
            "finally": [nap(name) for name in self.finally_],
        }
        if self.plan is not None:
            self.api.create("trialplans", {"metadata": {"name": self.plan}, "spec": plan})
            plan = {"planRef": {"name": self.plan}}
        spec = {"startTime": rfc3339(T), "engine": self.engine} | plan
        self.api.create("trials", {"metadata": {"name": "example"}, "spec": spec, "status": {}})
        self.operator = self._replica()

    def _replica(self) -> Replica:
        return Replica(self.api, self._point, self._clock, self._renewed, self.log)

    def _renewed(self, lease: Raw) -> Raw:
        """Return a Lease as its engine has renewed it: just now, if that still runs."""
        owner = lease["metadata"]["ownerReferences"][0]["uid"]
        runs = any(
            uid_of(pod) == owner and pod.get("status", {}).get("phase") == "Running"
            for pod in self.api.all("pods")
        )
        return lease | {"spec": lease["spec"] | {"renewTime": rfc3339(self.now)}} if runs else lease

    def _point(self) -> None:
        self.points += 1
        self._observe()
        if self.interfere is not None and self.points == self.interfere[0]:
            self.interfere[1](self.api)
        if self.points == self.freezes:
            self._frozen()
        if self.points in self.kills:
            raise KilledError
        if self.points in self.outages:
            raise UnavailableError(503, "ServiceUnavailable", "no answer")

    # --- time passes

    def run(self) -> "Simulation":
        """Live until nobody has anything left to do."""
        for _ in range(_MOST_TURNS):
            if not self._turn():
                return self
        raise AssertionError(f"no end: {decide(self.operator.cache.snapshot(KEY), self.now)}")

    def _turn(self) -> bool:
        try:
            if self.prompt:
                self.operator.listen()
            worked = self.operator.step(self.now)
        except KilledError:
            worked = self._killed()
        self._observe()
        if worked and not self.prompt:
            return True
        others = self._others()
        if worked or others:
            return True
        before = self.api.version
        self.operator.listen()
        if self.operator.monitor() or self.api.version != before or self._operator_has_work():
            return True
        return self._sleep()

    def _killed(self) -> bool:
        if self.away is not None:
            while self._others():
                pass
            self.now = max(self.now, self.away)
        self.operator = self._replica()
        return True

    def _frozen(self) -> None:
        frozen, self.operator = self.operator, self._replica()
        for _ in range(_MOST_TURNS):
            if not self._turn():
                break
        self.operator = frozen
        frozen.was_frozen = True

    def _operator_has_work(self) -> bool:
        return isinstance(decide(self.operator.cache.snapshot(KEY), self.now), Act)

    def _sleep(self) -> bool:
        wakes = self.operator.wakes(self.now)
        if wakes is None or wakes > _HORIZON:
            return False
        assert wakes > self.now, "the alarm would ring without end"
        self.now = wakes
        return True

    def _observe(self) -> None:
        """Note what can be seen from outside."""
        for uid in self._granted & self.api.forced.keys():
            self._ghosts.setdefault(uid, self.now + LONGEST_SILENCE)
        if self._observed == self.api.version:
            return
        self._observed = self.api.version
        for pod in self.api.all("pods"):
            self.pods.setdefault(uid_of(pod), pod["metadata"]["name"])
        for engine in self.api.all("trialengines"):
            status = engine.get("status", {})
            granted = status.get("podRef", {}).get("uid")
            if granted is not None and granted not in [uid for _, uid in self.grants]:
                self.grants.append((status["attempt"], granted))
        for trial in self.api.all("trials"):
            started = trial.get("status", {}).get("startedTime")
            if started is not None and started not in self.latches:
                self.latches.append(started)

    # --- the others

    def _others(self) -> bool:
        return self.api.collect_garbage() or self._people() or self._nodes() or self._engines()

    def _nodes(self) -> bool:
        for pod in self.api.all("pods"):
            name, status = pod["metadata"]["name"], pod.get("status", {})
            if "phase" not in status:
                self.api.set_status("pods", name, phase="Running")
                return True
            if "deletionTimestamp" in pod["metadata"]:
                if status["phase"] == "Running":
                    self.api.set_status("pods", name, phase="Failed")
                else:
                    self.api.remove("pods", name)
                return True
        return False

    def _engines(self) -> bool:
        """Let the first engine that can act do one thing."""
        for pod in self.api.all("pods"):
            if pod.get("status", {}).get("phase") != "Running":
                continue
            engine = self.api.find("trialengines", pod["metadata"]["labels"][names.LABEL_TRIAL])
            status = (engine or {}).get("status", {})
            granted = status.get("podRef", {}).get("uid")
            if granted == uid_of(pod):
                self._granted.add(uid_of(pod))
            elif granted is not None and uid_of(pod) not in self._granted:
                self.api.set_status("pods", pod["metadata"]["name"], phase="Failed")
                return True  # it sees that the grant is another's
            if engine is not None and uid_of(pod) in self._granted and self._work(pod, engine):
                return True
        return False

    def _work(self, pod: Raw, engine: Raw) -> bool:
        """Begin or do what is next, or exit with the last; return False if that hangs."""
        status = engine.get("status", {})
        attempt = int(pod["metadata"]["labels"][names.LABEL_ATTEMPT])
        saved = {activity["name"]: activity for activity in status.get("activities", [])}
        plan = {field: [each["name"] for each in engine["spec"].get(field, [])] for field in _LISTS}
        failed = any(saved.get(name, {}).get("state") == "Failed" for name in plan["activities"])
        name = _next(plan, saved, failed=failed, stopped="stop" in status)
        if name is None:
            phase = "Failed" if failed else "Succeeded"
            self.api.set_status("pods", pod["metadata"]["name"], phase=phase)
            return True
        activity = saved.get(name, {"name": name, "state": "Pending", "run": 1})
        if activity["state"] != "Running":
            self._save(engine, saved, activity | {"state": "Running", "startTime": rfc3339(self.now)})
            return True
        if (name, attempt) in self.hangs:
            return False
        self._act(pod, name, activity["run"], attempt)
        state = "Failed" if (name, attempt) in self.fails else "Succeeded"
        self._save(engine, saved, activity | {"state": state, "output": {"told": None}})
        return True

    def _act(self, pod: Raw, activity: str, run: int, attempt: int) -> None:
        ghosts = [self.api.forced[uid] for uid, until in self._ghosts.items() if self.now < until]
        assert not ghosts, f"{pod['metadata']['name']} acts while these go on: {ghosts}"
        acting = [
            other["metadata"]["name"]
            for other in self.api.all("pods")
            if uid_of(other) in self._granted and other["status"].get("phase") == "Running"
        ]
        assert acting == [pod["metadata"]["name"]], f"more than one engine acts: {acting}"
        self.acts.append((activity, run, attempt))
        self.act_times.append(self.now)

    def _save(self, engine: Raw, saved: dict[str, Raw], activity: Raw) -> None:
        self.begun = True
        saved[activity["name"]] = activity
        self.api.set_status("trialengines", engine["metadata"]["name"], activities=list(saved.values()))

    def _people(self) -> bool:
        if self.people and self.people[0][0](self.api):
            self.people.pop(0)[1](self.api)
            return True
        return False

    # --- what it came to

    def outcome(self) -> dict[str, Any]:
        """Return all that people can see in the end, without times and UIDs."""
        trial = self.api.find("trials", "example") or {}
        engine = (self.api.find("trialengines", "example") or {}).get("status", {})
        status = trial.get("status", {})
        return {
            "conditions": {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions", [])},
            "phase": status.get("phase"),
            "progress": status.get("progress"),
            "missed": len(status.get("missed", [])),
            "restored": _answer(status.get("lastHandledRestore")),
            "deleted": _answer(status.get("lastHandledDelete")),
            "requests": [_answer(taken) for taken in engine.get("trialRequests", [])],
            "attempts": [
                (a["number"], a["reason"], a.get("outcome"), a.get("fromActivity"))
                for a in engine.get("attempts", [])
            ],
            "activities": [
                (a["name"], a["state"], a["run"], a.get("output")) for a in engine.get("activities", [])
            ],
            "acts": self.acts,
            "grants": [attempt for attempt, _ in self.grants],
            "plan": [
                each["name"] for raw in self.api.all("trialengines") for each in raw["spec"]["activities"]
            ],
            "generation": (status.get("planGeneration"), "pendingPlan" in engine),
            "engines": len(self.api.all("trialengines")),
            "held": any(
                names.FINALIZER_ENGINE in raw["metadata"].get("finalizers", [])
                for raw in self.api.all("trialengines")
            ),
            "running": [
                raw["metadata"]["name"] for raw in self.api.all("pods") if raw["status"]["phase"] == "Running"
            ],
        }


def _next(plan: dict[str, list[str]], saved: dict[str, Raw], *, failed: bool, stopped: bool) -> str | None:
    """Return which activity is next: after a failure one of onFailure, after a stop one of finally."""
    names = [*plan["activities"], *plan["finally"]]
    if stopped and not any(_was_begun(activity) for activity in saved.values()):
        return None  # there is nothing to release
    if failed or stopped:
        names = plan["finally"] if stopped else plan["onFailure"]
    left = (name for name in names if saved.get(name, {}).get("state") not in ("Succeeded", "Failed"))
    return next(left, None)


def _was_begun(activity: Raw) -> bool:
    return activity["state"] != "Pending" or "startTime" in activity or activity["run"] > 1


def phase_is(phase: str) -> Callable[[Cluster], bool]:
    """See that the Trial shows this phase."""
    return lambda api: (api.find("trials", "example") or {}).get("status", {}).get("phase") == phase


def has_ended(api: Cluster) -> bool:
    """See that the Trial shows a failure, and that nothing runs any more."""
    running = [raw for raw in api.all("pods") if raw.get("status", {}).get("phase") == "Running"]
    return phase_is("Failed")(api) and not running


def reason_of(api: Cluster, kind: str) -> str | None:
    """Return the reason of a condition of the Trial."""
    found = (api.find("trials", "example") or {}).get("status", {}).get("conditions", [])
    return next((each["reason"] for each in found if each["type"] == kind), None)


def has_released(api: Cluster) -> bool:
    """See that the Trial shows that it has released what it held."""
    return reason_of(api, "Released") == "Released"


def works_on(activity: str) -> Callable[[Cluster], bool]:
    """See that the engine works on an activity."""

    def seen(api: Cluster) -> bool:
        saved = (api.find("trialengines", "example") or {}).get("status", {}).get("activities", [])
        return any((each["name"], each["state"]) == (activity, "Running") for each in saved)

    return seen


def annotate(spec: Raw | None = None, **annotations: str) -> Callable[[Cluster], None]:
    """Return what a person does who annotates the Trial, and changes its spec with the same write."""
    asked = {f"{names.GROUP}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return lambda api: api.edit("trials", "example", annotations=asked, **(spec or {}))


def _answer(handled: Raw | None) -> tuple[str, str] | None:
    return (handled["id"], handled["result"]) if handled else None
