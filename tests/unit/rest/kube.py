"""An API server in memory, with as much of its rules as ConfigMaps, statuses and token reviews need."""

import asyncio
import copy
import itertools

from lcm_operator.kube.errors import AlreadyExists, Conflict, NotFound
from lcm_operator.kube.listing import Page

TIME = "2026-11-24T10:00:00Z"


class Kube:
    """Objects by plural and name. `before_write` runs once before the next write, as a rival would."""

    def __init__(self):
        self.objects = {}
        self.reviews = {}
        self.reviewed = []
        self.before_write = []
        self.reads = []
        self.writes = 0
        self.changes = asyncio.Queue()
        self._versions = itertools.count(1)

    def put(self, plural, name, **parts):
        """Write an object as somebody else does."""
        metadata = parts.pop("metadata", {}) | {"name": name, "resourceVersion": str(next(self._versions))}
        self.objects[plural, name] = parts | {"metadata": metadata}
        self.changes.put_nowait(("MODIFIED", self.objects[plural, name]))
        return self.objects[plural, name]

    def drop(self, plural, name):
        gone = self.objects.pop((plural, name))
        gone["metadata"]["resourceVersion"] = str(next(self._versions))
        self.changes.put_nowait(("DELETED", gone))

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

    async def get(self, resource, _namespace, name):
        self.reads.append((resource.plural, name))
        if (resource.plural, name) not in self.objects:
            raise NotFound(404, "NotFound", name)
        return copy.deepcopy(self.objects[resource.plural, name])

    async def listed(self, resource, _namespace, **_):
        found = [raw for (plural, _), raw in self.objects.items() if plural == resource.plural]
        yield Page(copy.deepcopy(found), str(next(self._versions)), "")

    async def watch(self, _resource, _namespace, **_):
        while True:
            yield await self.changes.get()

    async def create(self, resource, _namespace, body):
        if resource.kind == "TokenReview":
            self.reviewed.append(body["spec"])
            return {"status": self.reviews.get(body["spec"]["token"], {"authenticated": False})}
        self._rivals_first()
        name = body["metadata"]["name"]
        if (resource.plural, name) in self.objects:
            raise AlreadyExists(409, "AlreadyExists", name)
        self.writes += 1
        return self.put(resource.plural, name, data=body["data"])

    async def merge_patch(self, resource, _namespace, name, patch, *, subresource=""):
        self._rivals_first()
        raw = copy.deepcopy(self.objects.get((resource.plural, name)))
        if raw is None:
            raise NotFound(404, "NotFound", name)
        if patch["metadata"]["resourceVersion"] != raw["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", name)
        self.writes += 1
        part = subresource or "data"
        parts = {key: value for key, value in raw.items() if key != part}
        return self.put(resource.plural, name, **parts, **{part: raw.get(part, {}) | patch[part]})

    def _rivals_first(self):
        if self.before_write:
            self.before_write.pop(0)()
