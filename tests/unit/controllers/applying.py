"""`Apply` on an API server that refuses what it is asked to."""

from tests.harness.cluster import Cluster
from tests.unit.controllers.clock import HandClock
from tests.unit.controllers.replica import KEY, connect, finish, no_limit, quiet
from tests.unit.domain.builders import T, nap, resolve_engine

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import parse, rfc3339
from lcm_operator.api.trial import Trial
from lcm_operator.controllers.admission import check
from lcm_operator.controllers.apply import Apply
from lcm_operator.controllers.recorder import Recorder
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.actions import (
    CreateEngine,
    CreatePod,
)
from lcm_operator.domain.manifests import engine_pod
from lcm_operator.domain.snapshot import Settings


class Harness:
    """`Apply` on an API server that refuses what `refuse` names."""

    def __init__(self):
        self.api = Cluster()
        self.refuses = {}
        self.clock = HandClock()
        self.connection = connect(self.api, lambda: None)
        self.connection.before = self._refuse
        self.client = client = self.connection.client()
        self.cache = SlotCache(Settings(), self.clock)
        self.apply = Apply(client, self.cache, Recorder(client, quiet, self.clock), self.clock, no_limit)

    def _refuse(self, request):
        """Refuse what is created of a kind, or what is got of it as `get pods`."""
        asked = {"create": request.plural, "get": f"get {request.plural}"}.get(request.verb)
        asked = request.subresource if request.subresource == "log" else asked
        if asked in self.refuses:
            raise self.refuses[asked]

    def does(self, action):
        finish(self.apply(KEY, action))
        return self.cache.snapshot(KEY)

    def with_trial(self):
        spec = {"startTime": rfc3339(T), "activities": [nap("one")]}
        self.api.create("trials", {"metadata": {"name": "example"}, "spec": spec, "status": {}})
        self.cache.put_trial(self.api.get("trials", "example"))
        return parse(self.api.get("trials", "example"), Trial)

    def with_engine(self):
        trial = self.with_trial()
        self.does(CreateEngine(resolve_engine(trial)))
        return parse(self.api.get("trialengines", "example"), TrialEngine)

    def with_pod(self):
        engine = self.with_engine()
        self.does(CreatePod(engine, engine_pod(engine, 1, "image")))
        return engine


def asked(harness, engine):
    found = []

    async def asking():
        found.append(await check(harness.client, engine, engine_pod(engine, 1, "image")))

    finish(asking())
    return found[0]
