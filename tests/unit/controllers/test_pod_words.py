"""Why a pod does not run, read from the pod."""

from datetime import timedelta

import pytest

from lcm_operator.controllers.pod_words import event_words, pending

BOUND = {"nodeName": "node-1"}


def waiting(reason, message="", field="containerStatuses", name="engine"):
    return {field: [{"name": name, "state": {"waiting": {"reason": reason, "message": message}}}]}


def unscheduled(reason, message):
    return {"conditions": [{"type": "PodScheduled", "status": "False", "reason": reason, "message": message}]}


def words(spec, status, seconds=60.0):
    return pending({"spec": spec, "status": status}, timedelta(seconds=seconds)).why


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        pytest.param(
            {},
            unscheduled("Unschedulable", "0/3 nodes are available: 3 Insufficient memory."),
            "Unschedulable: 0/3 nodes are available: 3 Insufficient memory.",
            id="no node fits",
        ),
        pytest.param(
            BOUND,
            waiting("ImagePullBackOff", 'Back-off pulling image "nowhere/none"'),
            'container engine: ImagePullBackOff: Back-off pulling image "nowhere/none"',
            id="an image that can't be pulled",
        ),
        pytest.param(
            BOUND,
            waiting("CreateContainerConfigError", "couldn't find key token in Secret lab/partner"),
            "container engine: CreateContainerConfigError: couldn't find key token in Secret lab/partner",
            id="a key that a Secret lacks",
        ),
        pytest.param(
            BOUND,
            waiting("InvalidImageName", 'couldn\'t parse image name "A b"', "initContainerStatuses", "setup"),
            'container setup: InvalidImageName: couldn\'t parse image name "A b"',
            id="an init container",
        ),
        pytest.param(
            {"schedulerName": "mine"},
            {},
            "no node is assigned, and scheduler mine has not reported why; does it run?",
            id="a scheduler that does not exist",
        ),
        pytest.param(
            BOUND,
            {"reason": "NodeAffinity", "message": "Pod was rejected\nby the node"},
            "NodeAffinity: Pod was rejected by the node",
            id="a node's own words",
        ),
    ],
)
def test_words_of(spec, status, expected):
    assert words(spec, status) == expected


@pytest.mark.parametrize(
    ("spec", "status", "seconds"),
    [
        pytest.param({}, {}, 0.9, id="that was just created"),
        pytest.param(BOUND, {}, 60.0, id="that has just got a node"),
        pytest.param(BOUND, waiting("ContainerCreating"), 60.0, id="whose container is being created"),
        pytest.param(BOUND, waiting("PodInitializing"), 60.0, id="whose init containers run"),
        pytest.param(None, {"conditions": "none", "containerStatuses": {"a": 1}}, 0.9, id="that is nonsense"),
    ],
)
def test_nothing_is_said_of_a_pod(spec, status, seconds):
    assert words(spec, status, seconds) == ""


def test_events_are_read_of_a_pod_that_a_node_has_for_a_second():
    raw = {"spec": BOUND, "status": waiting("ContainerCreating")}
    assert not pending(raw, timedelta(seconds=0.9)).is_creating
    assert pending(raw, timedelta(seconds=1)).is_creating


def test_the_words_of_an_event():
    event = {"reason": "FailedMount", "message": 'MountVolume.SetUp failed: secret "partner" not found'}
    assert event_words(event) == 'FailedMount: MountVolume.SetUp failed: secret "partner" not found'
