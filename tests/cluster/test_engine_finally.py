"""The real engine process asked to stop, by status.stop or the deletion of its TrialEngine."""

import signal
import time
from contextlib import contextmanager
from itertools import pairwise
from uuid import UUID, uuid5

import pytest
from tests.cluster.engine_harness import acting, http

from devcluster.cluster.components import API_SERVER
from devcluster.waiting import wait_until

LONG = {"name": "long", "sleep": {"seconds": 600}}
FREE, CLEAN = http("free"), http("clean")
CANCEL = {"mode": "Cancel", "requestTime": "2026-11-24T10:00:00Z"}


@pytest.fixture
def harness(cluster, namespace, tmp_path):
    with acting(cluster, namespace, tmp_path) as harness:
        yield harness


@contextmanager
def held(harness):
    """Keep the TrialEngine from disappearing when it is deleted, as our finalizer does."""

    def hold(*finalizers):
        patch = {"metadata": {"finalizers": list(finalizers) or None}}
        harness.api.patch("TrialEngine", harness.namespace, "example", patch)

    hold("test.example/hold")
    try:
        yield
    finally:
        hold()


def working(harness, *before, **lists):
    """Start an engine that has long to do after `before`, and wait until it does."""
    harness.create(*before, LONG, **{"finally": [FREE, CLEAN]} | lists)
    running = harness.run()
    running.until(lambda: harness.states.get("long") == "Running")
    return running


def test_engine_whose_trialengine_is_deleted_leaves_its_plan_and_releases(harness):
    running = working(harness, http("one"), onFailure=[http("tell")])

    with held(harness):
        harness.api.delete("TrialEngine", harness.namespace, "example")

        assert running.exit_code() == 5, running.log
        assert running.last_message == "the TrialEngine is being deleted"
        assert harness.partner.lines == ["POST /one", "POST /free", "POST /clean"]
        assert harness.states == {
            "one": "Succeeded",
            "long": "Running",
            "tell": "Pending",
            "free": "Succeeded",
            "clean": "Succeeded",
        }


def test_an_engine_asked_to_stop_leaves_its_plan_at_once_and_releases(harness):
    came = []
    harness.partner.answer["/free"] = lambda _: came.append(time.monotonic()) or 200
    running = working(harness)

    stopped_at = time.monotonic()
    harness.write(stop=CANCEL)

    assert running.exit_code() == 5, running.log
    assert running.last_message == "a stop was requested (Cancel)"
    assert harness.partner.lines == ["POST /free", "POST /clean"]
    assert came[0] - stopped_at < 3


def test_stop_that_is_seen_before_the_next_activity_begins_precedes_it(harness):
    harness.create(http("one"), http("two"), **{"finally": [FREE]})
    harness.partner.answer["/one"] = lambda _: harness.write(stop=CANCEL) or 200

    running = harness.run()

    assert running.exit_code() == 5, running.log
    assert harness.partner.lines == ["POST /one", "POST /free"]


def test_attempt_for_finally_alone_completes_it_during_the_deletion(harness):
    harness.create(http("one"), http("two"), **{"finally": [FREE, CLEAN]})
    harness.partner.answer["/two"] = 503
    assert harness.run().exit_code() == 1
    first = harness.start()

    with held(harness):
        harness.api.delete("TrialEngine", harness.namespace, "example")
        harness.write(podRef=None, attempt=2)
        first.says("waiting for the grant")
        harness.partner.answer["/clean"] = lambda _: first.process.kill() or 200
        harness.write(stop=CANCEL)
        harness.grant(first, attempt=2)
        assert first.exit_code() == -signal.SIGKILL

        del harness.partner.answer["/clean"]
        harness.write(podRef=None, attempt=3)
        second = harness.run(attempt=3)

        assert second.exit_code() == 5, second.log
        assert harness.partner.lines == ["POST /one", "POST /two", "POST /free", "POST /clean", "POST /clean"]
        assert harness.states == {
            "one": "Succeeded",
            "two": "Failed",
            "free": "Succeeded",
            "clean": "Succeeded",
        }
        uid = UUID(harness.object["metadata"]["uid"])
        assert harness.partner.keys("POST /clean") == [str(uuid5(uid, "clean/1"))] * 2


def test_a_failure_is_reported_and_nothing_released(harness):
    harness.create(http("one"), onFailure=[http("tell"), http("say")], **{"finally": [FREE]})
    harness.partner.answer |= {"/one": 503, "/tell": 500}

    running = harness.run()

    assert running.exit_code() == 1, running.log
    assert harness.partner.lines == ["POST /one", "POST /tell", "POST /say"]
    assert harness.states == {"one": "Failed", "tell": "Failed", "say": "Succeeded", "free": "Pending"}
    assert running.last_message == harness.activity("one")["message"]


def test_what_does_not_release_in_time_is_given_up(harness):
    harness.create(
        http("one"),
        engine={"finallyTimeoutSeconds": 1},
        **{"finally": [{"name": "stuck", "exec": {"command": ["sleep", "600"]}}, FREE]},
    )

    running = harness.run()

    assert running.exit_code() == 0, running.log
    assert (harness.states["stuck"], harness.states["free"]) == ("Failed", "Skipped")
    assert harness.activity("stuck")["message"] == "stuck: finally was not done within 1 s"
    assert harness.activity("free")["message"] == "finally was not done within 1 s"


def test_sigterm_while_releasing_ends_an_engine_at_once(harness):
    harness.create(http("one"), **{"finally": [LONG]})
    running = harness.run()
    running.until(lambda: harness.states.get("long") == "Running")

    running.process.send_signal(signal.SIGTERM)

    assert running.exit_code() == 143
    assert harness.states["long"] == "Running"


def test_an_engine_beats_from_its_grant_on_until_it_ends(harness):
    harness.create(LONG, engine={"heartbeatTimeoutSeconds": 3})
    running = harness.start()
    harness.give_lease(running)
    running.says("waiting for the grant")
    before = harness.renewed(running)

    harness.grant(running, lease=False)
    beats = []

    def three():
        beats.append(harness.renewed(running))
        return len(set(beats) - {None}) >= 3

    running.until(three)
    running.process.send_signal(signal.SIGTERM)
    assert running.exit_code() == 143

    assert before is None
    moments = sorted({beat for beat in beats if beat})
    assert all((b - a).total_seconds() >= 0.9 for a, b in pairwise(moments))


def test_an_engine_without_its_lease_does_nothing_outside_until_it_is_there(harness):
    harness.create(http("one"))
    running = harness.start()
    harness.grant(running, lease=False)
    running.says("waiting until the Lease is renewed")
    ahead = list(harness.partner.lines)

    harness.give_lease(running)

    assert running.exit_code() == 0, running.log
    assert ahead == []
    assert harness.partner.lines == ["POST /one"]


def test_an_engine_whose_beats_are_not_acknowledged_begins_nothing_outside(cluster, harness):
    """Two tries of one activity: no write of a checkpoint lies between them, only renewals."""
    harness.create(
        http("one", retry={"limit": 1, "backoffSeconds": 2}), engine={"heartbeatTimeoutSeconds": 3}
    )
    harness.partner.answer["/one"] = 503
    running = harness.run()
    running.until(lambda: harness.partner.lines == ["POST /one"])
    cluster.stop(API_SERVER, signal.SIGKILL)
    try:
        running.says("waiting until the Lease is renewed")
        ahead = list(harness.partner.lines)
        harness.partner.answer["/one"] = 200
    finally:
        cluster.start(API_SERVER)

    assert running.exit_code() == 0, running.log
    assert ahead == ["POST /one"]
    assert harness.partner.lines == ["POST /one"] * 2


def test_an_engine_that_wakes_up_after_another_was_granted_does_nothing_more(harness):
    """It was stopped long enough to be given up, between two tries; its Lease is still there."""
    harness.create(
        http("one", retry={"limit": 1, "backoffSeconds": 1}), engine={"heartbeatTimeoutSeconds": 1}
    )
    harness.partner.answer["/one"] = 503
    running = harness.run()
    running.until(lambda: harness.partner.lines == ["POST /one"])
    running.process.send_signal(signal.SIGSTOP)
    asleep = time.monotonic()
    harness.write(podRef={"name": "example-2", "uid": "x", "notBefore": "2026-11-24T10:00:00Z"}, attempt=2)
    assert wait_until(lambda: time.monotonic() - asleep > 1.5, seconds=5)
    running.process.send_signal(signal.SIGCONT)

    assert running.exit_code() == 3, running.log
    assert harness.partner.lines == ["POST /one"]
