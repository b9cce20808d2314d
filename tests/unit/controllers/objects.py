"""Objects as the API server sends them, and a cache that has seen some: for the tests of the cache."""

from tests.unit.controllers.clock import HandClock

from lcm_operator.api import names
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import Settings

KEY = Key("lab", "example")
CREATED = "2026-11-24T09:00:00Z"


def raw_trial(name="example", uid="trial-1", version=1, **spec):
    return {
        "metadata": {
            "name": name,
            "namespace": "lab",
            "uid": uid,
            "resourceVersion": str(version),
            "generation": 1,
            "creationTimestamp": CREATED,
        },
        "spec": {"startTime": "2026-11-24T10:00:00Z", "activities": [{"name": "one"}]} | spec,
    }


def raw_engine(uid="engine-1", version=1, owner="trial-1", kind="Trial", name="example", **status):
    owners = [{"kind": kind, "name": "example", "uid": owner, "controller": True}] if owner else []
    return {
        "metadata": {
            "name": name,
            "namespace": "lab",
            "uid": uid,
            "resourceVersion": str(version),
            "ownerReferences": owners,
        },
        "spec": {
            "trialID": "example",
            "trialUID": owner,
            "trialGeneration": 1,
            "startTime": "2026-11-24T10:00:00Z",
            "activities": [{"name": "one", "sleep": {"seconds": 1}}],
        },
        "status": status,
    }


def raw_plan(name="default", version=1, uid=None, **spec):
    metadata = {"name": name, "namespace": "lab", "uid": uid or name, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": spec}


def raw_pod(phase="Failed", uid="pod-1"):
    return {
        "metadata": {
            "name": "example-1",
            "namespace": "lab",
            "uid": uid,
            "creationTimestamp": CREATED,
            "labels": {names.LABEL_TRIAL: "example"},
        },
        "status": {"phase": phase},
    }


def cache(*trials, engine=None, pod=None):
    made = SlotCache(Settings(), HandClock())
    for raw in trials:
        made.put_trial(raw)
    if engine is not None:
        made.put_engine(engine)
    if pod is not None:
        made.slot(KEY).set_pod(pod)
    return made
