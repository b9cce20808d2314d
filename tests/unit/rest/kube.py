"""What the sidecar meets at an API server: engines, ConfigMaps, token reviews, and rivals."""

from tests.harness.api_server import ApiServer
from tests.harness.client import Connection

from lcm_operator.kube.access import Access
from lcm_operator.kube.client import Client

TIME = "2026-11-24T10:00:00Z"


class Kube(Client):
    """A client of an API server in memory. `before_write`: what rivals do, each before one of the writes."""

    def __init__(self):
        self.api = ApiServer()
        self.connection = Connection(self.api, self._rivals_first, self._note)
        super().__init__(Access("http://in-memory"), self.connection)
        self.reviews = self.connection.reviews
        self.reviewed = []
        self.before_write = []
        self.reads = []
        self.writes = 0

    @property
    def objects(self):
        """All objects by plural and name."""
        return {(place.plural, place.name): raw for place, raw in self.api.objects.items()}

    def put(self, plural, name, **parts):
        """Write an object as somebody else does."""
        return self.api.put(plural, parts | {"metadata": parts.get("metadata", {}) | {"name": name}})

    def drop(self, plural, name):
        self.api.remove(plural, name)

    def engine(self, name, trial_id=None, *, attempt=1, tokens=(), pod_uid="", deleting=False):
        """Write a TrialEngine."""
        metadata = {"uid": f"uid-{name}"} | ({"deletionTimestamp": TIME} if deleting else {})
        status = {"attempt": attempt, "callbackTokens": list(tokens)}
        if pod_uid:
            status["podRef"] = {"name": f"{name}-1", "uid": pod_uid, "notBefore": TIME}
        spec = {
            "trialID": trial_id or name,
            "trialUID": "uid",
            "trialGeneration": 1,
            "startTime": TIME,
            "activities": [],
        }
        return self.put("trialengines", name, metadata=metadata, spec=spec, status=status)

    def _rivals_first(self, request):
        if request.plural == "tokenreviews":
            self.reviewed.append(request.body["spec"])
        elif request.writes and self.before_write:
            self.before_write.pop(0)()
        elif request.verb == "get":
            self.reads.append((request.plural, request.name))

    def _note(self, request):
        if request.writes and request.plural != "tokenreviews":
            self.writes += 1
