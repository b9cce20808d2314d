"""What feeds the view: three watches, for as long as the sidecar runs.

Trials are listed before TrialEngines, so that a Trial that was started never seems to lack its engine.
"""

import asyncio

from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.follow import Listed, ListWatch
from lcm_operator.kube.resources import TRIAL_ENGINES, TRIAL_REGISTRIES, TRIALS
from lcm_operator.rest.cache.records import engine_of, trial_of
from lcm_operator.rest.cache.view import View


class Feed:
    """The watches of one namespace; `registry` is the name of the one TrialRegistry that is looked at."""

    def __init__(self, client: Client, view: View, namespace: str, registry: str, clock: Clock) -> None:
        self._view = view
        self._trials = ListWatch(client, TRIALS, namespace, read=trial_of, clock=clock)
        self._engines = ListWatch(client, TRIAL_ENGINES, namespace, read=engine_of, clock=clock)
        self._registry = ListWatch(client, TRIAL_REGISTRIES, namespace, read=_is_automatic, name=registry)
        self._trials_listed = asyncio.Event()
        self.filled = asyncio.Event()
        """Set once the view holds everything that existed."""

    @property
    def silence(self) -> float:
        """For how many seconds the most silent watch has received nothing; the API server sends bookmarks."""
        return max(self._trials.silence(), self._engines.silence())

    async def run(self) -> None:
        """Keep the view as the API server has it. Ends only when it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_trials(), name="trials")
            tasks.create_task(self._follow_engines(), name="engines")
            tasks.create_task(self._follow_registry(), name="registry")

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
        """Follow the one TrialRegistry, for whether it imports by itself."""
        async for automatic in self._registry.states():
            self._view.set_automatic(automatic=bool(automatic))


def _is_automatic(registry: Json) -> bool:
    spec = registry.get("spec")
    return isinstance(spec, dict) and spec.get("import") == "All"
