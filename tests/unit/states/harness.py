"""One trial between API server, node, engine and people, moved by hand: where states and events are played.

The operator in it is the real one but for kopf: `Store`, `decide` and `Apply`, on an API server in memory. It
works until it waits; what it did is in `did`. The engine does no activity of itself, but runs `finally` and
ends when it is told to stop or its plan is through; pods that are deleted end. With `forgetful` the operator
is killed after each step.
"""

from datetime import datetime, timedelta
from typing import Any

from tests.harness.api_server import Json as Raw
from tests.unit.controllers.clock import ClockOf
from tests.unit.controllers.replica import KEY, Replica, finish
from tests.unit.domain.builders import T, at, nap
from tests.unit.states.unreliable import UnreliableCluster

from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.storage import rfc3339
from lcm_operator.controllers.apply import StepRejectedError
from lcm_operator.domain import actions as act
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Renewals, Snapshot
from lcm_operator.kube.errors import ApiError, UnavailableError

NAME = "example"
OTHER = "other"
PLAN = ("one", "two", "three")
FINALLY = "free"
REPORT = "tell"
ACTIVE_DEADLINE = 600
GIVE_UP = 900
TTL = 3600
_MOST_STEPS = 60
_FORGETS = 25
_PATIENCE = 350
_LOOKS = (act.LookUpPod, act.LookUpEngine, act.LookUpPlan, act.WatchReferences, act.RecordEvent)
_FOREGROUND = "foregroundDeletion"


class Harness:
    """See the module."""

    def __init__(self, name: str = NAME, **spec: Any) -> None:
        self.api = UnreliableCluster()
        self.now = at(-3000)
        self._clock = ClockOf(lambda: self.now)
        self.did: list[str] = []
        self.events: list[str] = []
        self.wait = act.wait("nothing was decided yet")
        self.slow = False
        """The engine takes its time with `finally`."""
        self.reporting = False
        """The engine takes its time with `onFailure`."""
        self.node_lost = False
        """Nothing of a pod changes: it runs on, though it may be deleted."""
        self.forgetful = False
        self.renewals: Renewals | None = None
        self.grants: list[tuple[int, str]] = []
        self.latches: set[str] = set()
        self.saved: dict[str, str] = {}
        """What the engine saved last, by activity: it stays when the TrialEngine is deleted."""
        self._forgets = 0
        self.api.put("trialregistries", {"metadata": {"name": "default"}, "spec": {"url": "http://registry"}})
        self.create_trial(name, **spec)
        self.operator = self._replica()

    def _replica(self) -> Replica:
        return Replica(self.api, lambda: None, self._clock, self._renewed)

    def _renewed(self, lease: Raw) -> Raw:
        """Return a Lease as its engine has renewed it: just now, if its pod runs."""
        owner = lease["metadata"]["ownerReferences"][0]["uid"]
        runs = any(pod["metadata"]["uid"] == owner and not _over(pod) for pod in self.api.all("pods"))
        return lease | {"spec": lease["spec"] | {"renewTime": rfc3339(self.now)}} if runs else lease

    def create_trial(self, name: str, **spec: Any) -> None:
        """Create a Trial of three activities and `finally`; None takes a field away."""
        fields = {
            "trialID": NAME,
            "startTime": rfc3339(T),
            "activities": [nap(activity) for activity in PLAN],
            "finally": [nap(FINALLY)],
            "engine": {"activeDeadlineSeconds": ACTIVE_DEADLINE},
            "ttlSecondsAfterFinished": TTL,
        } | spec
        body = {key: value for key, value in fields.items() if value is not None}
        self.api.create("trials", {"metadata": {"name": name}, "spec": body, "status": {}})

    # --- what exists

    @property
    def trial(self) -> Raw | None:
        """The Trial that all is about."""
        return self.api.find("trials", NAME)

    @property
    def engine(self) -> Raw | None:
        """The TrialEngine."""
        return self.api.find("trialengines", NAME)

    @property
    def attempt(self) -> int:
        """The number of the current attempt."""
        return int(((self.engine or {}).get("status") or {}).get("attempt", 1))

    @property
    def pod(self) -> Raw | None:
        """The pod of the current attempt."""
        return self.api.find("pods", names.pod_name(NAME, self.attempt))

    @property
    def granted(self) -> bool:
        """Whether the current attempt's pod may act and still can."""
        granted = ((self.engine or {}).get("status") or {}).get("podRef", {}).get("uid")
        return self.pod is not None and self.pod["metadata"]["uid"] == granted and not _over(self.pod)

    @property
    def outcome(self) -> str | None:
        """The reason of the outcome, once there is one."""
        found = ((self.trial or {}).get("status") or {}).get("conditions", [])
        return next(
            (c["reason"] for c in found if c["type"] == reasons.SUCCEEDED and c["status"] != "Unknown"), None
        )

    @property
    def begun(self) -> bool:
        """Whether any activity was ever begun."""
        return bool(self.saved)

    @property
    def is_released(self) -> bool:
        """Whether `finally` has passed."""
        return self.saved.get(FINALLY) == "Succeeded"

    @property
    def unreadable(self) -> bool:
        """Whether there is something that the operator can't parse."""
        return bool(self.operator.cache.slot(KEY).unreadable)

    # --- time and the operator

    def restart(self) -> None:
        """Kill the operator and start another one: all that was in memory is lost."""
        self.operator = self._replica()

    def settle(self) -> "Harness":
        """Let everybody work until all wait."""
        for _ in range(_MOST_STEPS):
            if not (self.step() or self.others() or self._notice()):
                return self
        raise AssertionError(f"no end: {self.did[-8:]}, {self.wait}")

    def until(self, action: type) -> "Harness":
        """Let the operator work until it has just done this."""
        for _ in range(_MOST_STEPS):
            assert self.step() or self.others(), f"it waits instead: {self.wait.reason}"
            if self.did and self.did[-1].startswith(action.__name__):
                return self
        raise AssertionError(f"it never came to {action.__name__}: {self.did}")

    def advance(self, to: datetime) -> "Harness":
        """Let time go on to a moment, with every alarm before it."""
        self.settle()
        while self.wait.wake_at is not None and self.wait.wake_at < to:
            assert self.wait.wake_at > self.now, f"the alarm would ring without end: {self.wait}"
            self.now = self.wait.wake_at
            self.settle()
        self.now = to
        return self.settle()

    def finish(self) -> "Harness":
        """Let time go on until the trial has its outcome, or nothing more will come of itself."""
        self.slow = self.reporting = self.node_lost = False
        self.settle()
        patience, version = _PATIENCE, self.api.version
        while self.wait.wake_at is not None and not self._is_over() and patience:
            assert self.wait.wake_at > self.now, f"the alarm would ring without end: {self.wait}"
            self.now = self.wait.wake_at
            self.settle()
            patience = patience - 1 if self.api.version == version else _PATIENCE
            version = self.api.version
        return self

    def _is_over(self) -> bool:
        going = self.engine is not None and "deletionTimestamp" in self.engine["metadata"]
        return not going and (self.trial is None or self.is_finished)

    @property
    def is_finished(self) -> bool:
        """Whether the Trial shows that nothing acts any more."""
        found = ((self.trial or {}).get("status") or {}).get("conditions", [])
        return any(each["type"] == reasons.FINISHED and each["status"] == "True" for each in found)

    def step(self) -> bool:
        """Let the operator do one step; return whether there was one."""
        self._listen()
        snapshot = self.operator.cache.snapshot(KEY)
        decision = decide(snapshot, self.now)
        if isinstance(decision, act.Wait):
            self.wait = decision
            return False
        for action in decision.actions:
            self._check(snapshot, action)
            if not self._apply(action):
                return True
            self._note(action)
        if self.forgetful and self._forgets < _FORGETS:
            self._forgets += 1
            self.restart()
        return True

    def _apply(self, action: act.Action) -> bool:
        try:
            finish(self.operator.apply(KEY, action))
        except (StepRejectedError, UnavailableError):
            return False
        except ApiError:
            finish(self.operator.apply.read(KEY))
            return False
        return True

    def _listen(self) -> None:
        if not self.api.away:
            self.operator.listen()
        slot = self.operator.cache.slot(KEY)
        lives = self.pod is not None and not _over(self.pod)
        if self.renewals is not None and (lives or self.renewals.silent):
            slot.renewals = self.operator.cache.observed(self.renewals)

    def _notice(self) -> bool:
        before = self.api.version
        self._listen()
        if not self.api.away and self.operator.monitor():
            return True
        self._listen()
        decision = decide(self.operator.cache.snapshot(KEY), self.now)
        if isinstance(decision, act.Act):
            return True
        self.wait = decision
        return self.api.version != before

    def _note(self, action: act.Action) -> None:
        name = type(action).__name__
        other = _trial_of(action) == OTHER
        if isinstance(action, act.RecordEvent) and not other:
            self.events.append(action.reason)
        if isinstance(action, _LOOKS):
            return
        slot = self.operator.cache.slot(KEY)
        refused = isinstance(action, act.CreatePod | act.CreateEngine) and slot.refusal is not None
        reported = f"{name}{' (rejected)' if refused else ''}{' (the other)' if other else ''}"
        if self.did[-1:] != [reported]:
            self.did.append(reported)
        if isinstance(action, act.GrantEngine):
            self._note_grant(action)
        if isinstance(action, act.LatchTrial):
            self.latches.add(action.trial.metadata.uid)

    # --- what must never happen

    def _check(self, snapshot: Snapshot, action: act.Action) -> None:
        """Check at each step what must hold whatever happens."""
        if isinstance(action, act.CreatePod):
            self._check_pod(snapshot, action)
        if isinstance(action, act.LatchTrial):
            assert action.trial.metadata.uid not in self.latches, "started twice"

    def _check_pod(self, snapshot: Snapshot, action: act.CreatePod) -> None:
        owner = action.engine.spec.trial_uid
        trial = next((each for each in snapshot.trials if each.metadata.uid == owner), None)
        if action.engine.status.stop is not None:
            return  # it runs `finally` and nothing else
        assert trial is not None, "a pod for nobody"
        assert trial.metadata.deletion_timestamp is None, "a pod for a trial that is being deleted"
        assert action.engine.metadata.deletion_timestamp is None, "a pod for an engine that is being removed"
        if trial.status.started_time is None:
            assert not trial.spec.suspend, "a pod for a suspended trial"
            duplicate = conditions.is_false(trial.status.conditions, reasons.ACCEPTED)
            assert not duplicate, "a pod for a trial that does not hold its ID"
            assert trial.status.phase not in ("Succeeded", "Failed", "Cancelled"), trial.status.phase

    def _note_grant(self, action: act.GrantEngine) -> None:
        reference = action.status.pod_ref
        assert reference is not None
        assert all(number < action.status.attempt for number, _ in self.grants), "one attempt, two grants"
        for pod in self.api.all("pods"):
            if pod["metadata"]["uid"] in {uid for _, uid in self.grants}:
                assert _over(pod) or self._is_given_up(pod), "attempts overlap"
        self.grants.append((action.status.attempt, reference.uid))

    def _is_given_up(self, pod: Raw) -> bool:
        """Whether a pod had to end, and has been silent for so long that nothing of it can be left."""
        silent = self.renewals is not None and self.renewals.pod_uid == pod["metadata"]["uid"]
        return silent and "deletionTimestamp" in pod["metadata"]

    # --- the others

    def others(self) -> bool:
        """Let the garbage collector, the node and the engine do one thing; return whether there was one."""
        if self.api.away:
            return False
        return self.api.collect_garbage() or self._foreground() or self._node() or self._obey()

    def _foreground(self) -> bool:
        """Delete what belongs to a Trial that is deleted in the foreground, then let that go."""
        for trial in self.api.all("trials"):
            if _FOREGROUND in trial["metadata"].get("finalizers", []):
                engine = self.engine
                if engine is None:
                    self.api.set_finalizers("trials", trial["metadata"]["name"])
                    return True
                if "deletionTimestamp" not in engine["metadata"]:
                    self.api.delete("trialengines", NAME)
                    return True
        return False

    def _node(self) -> bool:
        if self.node_lost:
            return False
        for pod in self.api.all("pods"):
            name = pod["metadata"]["name"]
            if "phase" not in pod.get("status", {}):
                self.api.set_status("pods", name, phase="Running")
                return True
            if "deletionTimestamp" in pod["metadata"]:
                if _over(pod):
                    self.api.remove("pods", name)
                else:
                    self.api.set_status("pods", name, phase="Failed")
                return True
        return False

    def _obey(self) -> bool:
        if self.slow or self.node_lost or not self.granted or self.engine is None:
            return False
        status = self.engine["status"]
        saved = {activity["name"]: activity["state"] for activity in status.get("activities", [])}
        if "stop" not in status and saved.get(REPORT) == "Running" and not self.reporting:
            self.save(**{REPORT: "Succeeded"})
            self.end_pod("Failed")
            return True
        if "stop" not in status and any(saved.get(name) != "Succeeded" for name in PLAN):
            return False
        if self.begun:
            self.save(**{each["name"]: "Succeeded" for each in self.engine["spec"].get("finally", [])})
        self.end_pod("Succeeded")
        return True

    # --- what engine and node report

    def save(self, **states: str) -> None:
        """Save a checkpoint: the state of activities by name."""
        assert self.engine is not None
        saved = {activity["name"]: activity for activity in self.engine["status"].get("activities", [])}
        self.saved |= states
        for name, state in states.items():
            before = saved.get(name, {"name": name, "run": 1, "startTime": rfc3339(self.now)})
            saved[name] = before | {"state": state}
        self.api.set_status("trialengines", NAME, activities=list(saved.values()))

    def end_pod(self, phase: str, **status: Any) -> None:
        """End the current pod's container."""
        assert self.pod is not None
        self.api.set_status("pods", self.pod["metadata"]["name"], phase=phase, **status)

    def beats(self, *, begun: bool, silent: float = 0) -> None:
        """See a renewal by the current pod, the first one missing, or the last one long ago."""
        assert self.pod is not None
        uid = self.pod["metadata"]["uid"]
        self.renewals = Renewals(uid, begun=begun, silent=timedelta(seconds=silent))

    # --- what it came to

    def annotate(self, plural: str, **annotations: str) -> None:
        """Ask by annotation; `restore_from` as `lcm.5gdrones.eu/restore-from`."""
        asked = {f"{names.GROUP}/{key.replace('_', '-')}": value for key, value in annotations.items()}
        self.api.edit(plural, NAME, annotations=asked)


def _trial_of(action: act.Action) -> str | None:
    """Return the name of the Trial that an action is about, if it is about one."""
    if isinstance(action, act.CreateEngine):
        return str(action.manifest["metadata"]["ownerReferences"][0]["name"])
    whose = getattr(action, "trial", None) or getattr(action, "regarding", None)
    return whose.metadata.name if whose is not None else None


def _over(pod: Raw) -> bool:
    """Whether the engine in a pod has ended; containers beside it may run."""
    status = pod.get("status", {})
    containers = {each["name"]: each["state"] for each in status.get("containerStatuses", [])}
    return status.get("phase") in ("Succeeded", "Failed") or "terminated" in containers.get("engine", {})
