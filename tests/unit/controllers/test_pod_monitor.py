"""Which pods are looked up after a list of those that have not ended."""

import asyncio
import logging

import pytest
from tests.unit.controllers.clock import HandClock
from tests.unit.controllers.objects import KEY, raw_engine, raw_trial
from tests.unit.domain.builders import pod

from lcm_operator.controllers.pod_monitor import PodMonitor
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import Settings
from lcm_operator.kube.errors import UnavailableError
from lcm_operator.kube.listing import Page

GRANT = {"name": "example-1", "uid": "pod-1", "notBefore": "2026-11-24T10:00:00Z"}
DELETED = {"deletionTimestamp": "2026-11-24T10:05:00Z"}


def item(uid="pod-1", **metadata):
    return {"metadata": {"name": "example-1", "uid": uid} | metadata}


def failed(reason, **activities):
    return {
        "podRef": GRANT,
        "activities": [{"name": name, "state": state, "run": 1} for name, state in activities.items()],
        "conditions": [
            {
                "type": "Succeeded",
                "status": "False",
                "reason": reason,
                "message": "",
                "lastTransitionTime": "2026-11-24T10:05:00Z",
            }
        ],
    }


class Pods:
    """An API server that lists pods, in pages."""

    def __init__(self, **status):
        self.pages_ = [[item()]]
        self.error = None
        self.looked = []
        self.clock = HandClock()
        self.cache = SlotCache(Settings(), self.clock)
        self.cache.put_trial(raw_trial())
        self.cache.put_engine(raw_engine(**({"podRef": GRANT} | status)))
        self.slot = self.cache.slot(KEY)
        self.slot.set_pod(pod(uid="pod-1"))
        self.got = []
        self.monitor = PodMonitor(self, self.cache, self.looked.append, self.clock)

    async def get(self, resource, namespace, name):
        self.got.append((resource.plural, namespace, name))
        containers = [{"name": "engine", "state": {"terminated": {"exitCode": 0}}}]
        status = {"phase": "Running", "containerStatuses": containers}
        metadata = {"namespace": namespace, "labels": {"lcm.5gdrones.eu/trial": "example"}}
        created = {"creationTimestamp": "2026-11-24T10:00:00Z"}
        return {"metadata": item()["metadata"] | metadata | created, "status": status}

    async def listed(self, resource, *, label_selector, field_selector, metadata_only, **_):
        assert (resource.plural, label_selector, metadata_only) == ("pods", "lcm.5gdrones.eu/trial", True)
        assert field_selector == "status.phase!=Succeeded,status.phase!=Failed"
        for page in self.pages_:
            yield Page(page, "1", "")
        if self.error is not None:
            raise self.error

    def read(self):
        """Read once; return whether the pod is in doubt by that."""
        self.looked.clear()
        asyncio.run(self.monitor.read())
        assert bool(self.looked) == (self.slot.pod is None)
        return self.slot.pod is None


@pytest.mark.parametrize(
    ("pages", "doubted"),
    [
        pytest.param([[item()]], False, id="it is there: no"),
        pytest.param([[item("pod-0")], [item()]], False, id="it is on the second page: no"),
        pytest.param([[item("pod-0")]], True, id="it is not there: yes"),
        pytest.param([[{}, {"metadata": 5}, item()]], False, id="beside items that can't be read: no"),
        pytest.param([], True, id="nothing is there: yes"),
        pytest.param([[item(**DELETED)]], True, id="its deletion has begun: yes"),
    ],
)
def test_a_granted_pod_is_in_doubt_if(pages, doubted):
    api = Pods()
    api.pages_ = pages
    assert api.read() is doubted


def test_a_pod_that_is_being_deleted_is_looked_up_once():
    api = Pods()
    api.pages_ = [[item(**DELETED)]]
    assert api.read()
    api.slot.set_pod(pod(uid="pod-1", deleting=True))
    assert not api.read()


def test_a_list_that_ends_half_way_says_nothing(caplog):
    api = Pods()
    api.pages_, api.error = [[item("pod-0")]], UnavailableError(503, "ServiceUnavailable", "no answer")
    with caplog.at_level(logging.WARNING):
        assert not api.read()
        assert not api.read()
    assert len(caplog.records) == 1


def test_a_pod_granted_while_the_list_is_under_way_is_not_missed(mocker):
    api = Pods(podRef=None)

    async def listed(*_, **__):
        api.cache.put_engine(raw_engine(version=2, podRef=GRANT))
        yield Page([], "1", "")

    mocker.patch.object(api, "listed", side_effect=listed)
    assert not api.read()


@pytest.mark.parametrize(
    ("status", "doubted"),
    [
        pytest.param(failed("ActivityFailed"), False, id="an activity failed: no"),
        pytest.param(failed("EngineSilent"), True, id="it fell silent: yes"),
        pytest.param(failed("EngineNotReady"), True, id="it never came: yes"),
        pytest.param(
            {"podRef": GRANT | {"endTime": "2026-11-24T10:05:00Z"}}, False, id="its end is known: no"
        ),
    ],
)
def test_the_pod_of_an_engine_that_is_over_is_in_doubt_if(status, doubted):
    api = Pods(**status)
    api.pages_ = []
    assert api.read() is doubted


def own(**metadata):
    owner = {"apiVersion": "lcm.5gdrones.eu/v1alpha1", "kind": "TrialEngine", "name": "example"}
    owned = {"ownerReferences": [owner | {"uid": "engine-1", "controller": True}]}
    labels = {"labels": {"lcm.5gdrones.eu/trial": "example"}, "namespace": KEY.namespace}
    return item(**owned, **labels, **metadata)


def test_pod_that_is_there_after_its_attempt_is_read_once_and_again_later():
    api = Pods(**failed("ActivityFailed"))
    api.pages_ = [[own()]]
    for _ in range(3):
        asyncio.run(api.monitor.read())
        api.clock.advance(5)

    assert api.got == [("pods", KEY.namespace, "example-1")]
    assert api.looked == [KEY]
    assert api.slot.pod.value.lingers

    api.clock.advance(30)
    asyncio.run(api.monitor.read())
    assert len(api.got) == 2


@pytest.mark.parametrize(
    ("status", "metadata"),
    [
        pytest.param({}, {}, id="its engine works"),
        pytest.param(failed("ActivityFailed"), DELETED, id="it is being deleted"),
        pytest.param(failed("ActivityFailed"), {"uid": "pod-2"}, id="it is another attempt's"),
    ],
)
def test_pod_that_is_there_is_not_read_if(status, metadata):
    api = Pods(**status)
    api.pages_ = [[own(**metadata)]]
    for _ in range(3):
        asyncio.run(api.monitor.read())
        api.clock.advance(5)
    assert api.got == []
