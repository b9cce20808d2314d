"""Builders and stand-ins of the engine's unit tests; each sets only what a case is about."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lcm_operator.api.engine import (
    ConsumedSignal,
    PodRef,
    Signal,
    TrialEngine,
    TrialEngineSpec,
    TrialEngineStatus,
)
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.plan import Plan
from lcm_operator.api.storage import parse, serialise
from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.inbox import Inbox, accounted
from lcm_operator.engine.interrupts import Interrupts
from lcm_operator.engine.outcome import Performed
from lcm_operator.engine.runner import Runner
from lcm_operator.engine.steps import Steps

NOW = datetime(2026, 11, 24, 10, 0, 0, 123456, tzinfo=UTC)
POD = "2a6a3f0e-0000-4000-8000-000000000001"
SPEC = {"trialID": "example", "trialUID": "t", "trialGeneration": 1, "startTime": "2026-11-24T10:00:00Z"}


def plan(*activities: dict[str, Any], **more: Any) -> TrialEngineSpec:
    """Return a plan as it comes from the API server, in the spec of a TrialEngine."""
    return parse(SPEC | {"activities": list(activities)} | more, TrialEngineSpec)


def nap(name: str, **more: Any) -> dict[str, Any]:
    """Return an activity that the stand-in performs; what kind it is of doesn't matter."""
    return {"name": name, "sleep": {"seconds": 1}} | more


def ask(name: str, **more: Any) -> dict[str, Any]:
    """Return an http activity, which the stand-in performs."""
    return {"name": name, "http": {"url": "http://service.example/"} | more.pop("http", {})} | more


def wait(name: str, signal: str, **more: Any) -> dict[str, Any]:
    """Return an activity that waits for a signal; `after`, `timeoutSeconds` are those of the wait."""
    own = {key: more.pop(key) for key in ("after", "timeoutSeconds") if key in more}
    return {"name": name, "wait": {"signal": signal} | own} | more


def engine(
    *activities: dict[str, Any], status: Mapping[str, Any] | None = None, **metadata: Any
) -> TrialEngine:
    """Return a TrialEngine as it comes from the API server."""
    return parse(
        {
            "metadata": {"name": "example", "namespace": "lab", "uid": "u", "resourceVersion": "1"}
            | metadata,
            "spec": SPEC | {"activities": list(activities)},
            "status": dict(status or {}),
        },
        TrialEngine,
    )


class Clock:
    """A clock that advances by a second with each look."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


class Memory:
    """A store that keeps each checkpoint as the API server would; `before` and `after` may end the engine.

    `receive` plays the REST sidecar: it stores a signal, and the engine sees it.
    """

    def __init__(self) -> None:
        self.saved: list[Checkpoint] = []
        self.signals: list[Signal] = []
        self.spec = plan(nap("none"))
        self.before: Callable[[Checkpoint], None] = lambda _: None
        self.after: Callable[[Checkpoint], None] = lambda _: None
        self.observe: Callable[[TrialEngine], None] = lambda _: None

    async def save(self, checkpoint: Checkpoint) -> Checkpoint:
        self.before(checkpoint)
        stored = accounted(checkpoint, self.spec, self.status())
        self.saved.append(stored)
        self.after(stored)
        self.observe(self.engine())
        return stored

    def receive(self, name: str, *, at: datetime = NOW + timedelta(hours=1)) -> None:
        self.signals.append(Signal(id=f"{name}-{len(self.signals)}", name=name, received_time=at))
        self.observe(self.engine())

    def status(self) -> TrialEngineStatus:
        """Return what a new engine would read."""
        stored = self.saved[-1].for_storage() if self.saved else {}
        signals = [serialise(signal) for signal in self.signals]
        grant = serialise(PodRef(name="example-1", uid=POD, not_before=NOW))
        return parse(stored | {"signals": signals, "podRef": grant}, TrialEngineStatus)

    def engine(self) -> TrialEngine:
        """Return the current TrialEngine."""
        return TrialEngine(metadata=Metadata(name="example"), spec=self.spec, status=self.status())

    async def look(self) -> tuple[TrialEngine, bool]:
        return self.engine(), True

    @property
    def consumed(self) -> dict[str, str]:
        """Return which activity took which signal."""
        taken: tuple[ConsumedSignal, ...] = self.saved[-1].consumed if self.saved else ()
        return {one.id: one.activity for one in taken}

    @property
    def states(self) -> list[list[str]]:
        """Return the states of all activities in each checkpoint, oldest first."""
        return [[activity.state for activity in saved.activities] for saved in self.saved]


class Stub:
    """Performs activities by a table: a name's result, exception or function; anything else succeeds."""

    def __init__(self, **results: Any) -> None:
        self.results = {name.replace("_", "-"): result for name, result in results.items()}
        self.calls: list[tuple[str, int]] = []

    async def __call__(self, activity, run, scope) -> Performed:
        self.calls.append((activity.name, run))
        result = self.results.get(activity.name, Performed())
        if isinstance(result, list):
            result = result.pop(0)
        if isinstance(result, BaseException):
            raise result
        if callable(result):
            result = await result(scope)
        return result

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def names_of(spec: Plan) -> list[str]:
    return [activity.name for activity in spec.all_activities]


def runner(
    spec: TrialEngineSpec,
    store: Memory,
    perform: Any,
    *,
    interrupts: Interrupts | None = None,
    facts: Mapping[str, Any] | None = None,
    now: Clock | None = None,
) -> Runner:
    """Return a runner that continues from the store."""
    interrupts, now = interrupts or Interrupts(POD), now or Clock()
    store.spec = spec
    inbox = Inbox(store.engine(), store.look)

    def observe(version: TrialEngine) -> None:
        interrupts.observe(version)
        inbox.observe(version)

    store.observe = observe
    observe(store.engine())
    steps = Steps(
        Checkpoint.from_storage(store.status(), names_of(spec)),
        save=store.save,
        receive=inbox.receive,
        perform=perform,
        mask=lambda text: text,
        now=now,
        end=interrupts.end,
        facts=facts or {"parameters": {}},
        activities=spec.activities,
    )
    return Runner(spec, steps, interrupts, now, lambda _: 1)
