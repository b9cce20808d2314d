"""The watches that fill the view.

Trials are listed before TrialEngines, so that a started Trial never seems to lack its engine.
"""

import asyncio

from lcm_operator import logs
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.follow import Listed, ListWatch
from lcm_operator.kube.resources import TRIAL_ENGINES, TRIAL_PLANS, TRIAL_REGISTRIES, TRIALS
from lcm_operator.rest.cache.records import engine_of, trial_of
from lcm_operator.rest.cache.view import View

log = logs.get(__name__)


class Feed:
    """The watches of one namespace; `registry` and `plan` name the TrialRegistry and TrialPlan to watch."""

    def __init__(
        self, client: Client, view: View, namespace: str, *, registry: str, plan: str, clock: Clock
    ) -> None:
        self._view = view
        self._about_plan = {"namespace": namespace, "plan": plan}
        self._trials = ListWatch(client, TRIALS, namespace, read=trial_of, clock=clock)
        self._engines = ListWatch(client, TRIAL_ENGINES, namespace, read=engine_of, clock=clock)
        self._registry = ListWatch(client, TRIAL_REGISTRIES, namespace, read=_is_automatic, name=registry)
        self._plan = ListWatch(client, TRIAL_PLANS, namespace, read=_only_sleeps, name=plan)
        self._trials_listed = asyncio.Event()
        self.filled = asyncio.Event()
        """Set once the view contains everything that existed at the start."""

    @property
    def silence(self) -> float:
        """Seconds since the least active watch received anything; the API server sends bookmarks."""
        return max(self._trials.silence(), self._engines.silence())

    async def run(self) -> None:
        """Keep the view current. Ends only when cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_trials(), name="trials")
            tasks.create_task(self._follow_engines(), name="engines")
            tasks.create_task(self._follow_registry(), name="registry")
            tasks.create_task(self._follow_plan(), name="plan")

    async def _follow_trials(self) -> None:
        async for event in self._trials.events():
            self._view.take_trial(event)
            if isinstance(event, Listed):
                self._trials_listed.set()

    async def _follow_engines(self) -> None:
        await self._trials_listed.wait()
        async for event in self._engines.events():
            self._view.take_engine(event)
            if isinstance(event, Listed):
                self.filled.set()

    async def _follow_registry(self) -> None:
        """Keep track of whether the TrialRegistry imports automatically."""
        async for automatic in self._registry.states():
            self._view.set_automatic(automatic=bool(automatic))

    async def _follow_plan(self) -> None:
        """Keep track of the plan of scheduled trials; warn when it is missing or only sleeps."""
        async for only_sleeps in self._plan.states():
            self._view.plan_is_missing = only_sleeps is None
            if only_sleeps is None:
                log.warning("trials scheduled by REST cannot start: TrialPlan not found", **self._about_plan)
            elif only_sleeps:
                log.warning(
                    "trials scheduled by REST do nothing: their TrialPlan only sleeps", **self._about_plan
                )
            else:
                log.info("TrialPlan of trials scheduled by REST found", **self._about_plan)


def _is_automatic(registry: Json) -> bool:
    spec = registry.get("spec")
    return isinstance(spec, dict) and spec.get("import") == "All"


def _only_sleeps(plan: Json) -> bool:
    spec = plan.get("spec")
    activities = spec.get("activities") if isinstance(spec, dict) else None
    return isinstance(activities, list) and all(
        isinstance(each, dict) and "sleep" in each for each in activities
    )
