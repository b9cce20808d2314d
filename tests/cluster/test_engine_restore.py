"""The real engine process against a real API server: grant, failure, restore, end."""

import signal
from uuid import UUID, uuid5

import pytest
from tests.cluster.crd_api import Api
from tests.cluster.engine_stage import Partner, Stage, http

from lcm_operator.local.waiting import wait_until


@pytest.fixture(scope="module")
def api(cluster):
    return Api(cluster)


@pytest.fixture
def stage(cluster, namespace, tmp_path, api):
    partner = Partner()
    stage = Stage(cluster, namespace, tmp_path, api, partner)
    yield stage
    stage.close()
    partner.close()


FIVE = [http(name) for name in ("one", "two", "three", "four", "five")]


def test_an_engine_acts_only_after_its_grant(stage):
    stage.create(http("one"))
    running = stage.start()
    running.says("waiting for the grant")
    stage.write(phase="Pending", attempt=1)  # a change that grants nothing
    before = list(stage.partner.lines)

    stage.grant(running)

    assert running.exit_code() == 0, running.log
    assert before == []
    assert stage.partner.lines == ["POST /one"]


def test_a_failed_engine_is_restored_from_its_checkpoint_and_repeats_nothing_that_succeeded(stage):
    stage.create(*FIVE)
    stage.partner.answer["/three"] = 503

    first = stage.run()

    assert first.exit_code() == 1, first.log
    assert stage.partner.lines == ["POST /one", "POST /two", "POST /three"]
    assert stage.states == {
        "one": "Succeeded", "two": "Succeeded", "three": "Failed", "four": "Pending", "five": "Pending",
    }  # fmt: skip
    message = stage.activity("three")["message"]
    assert message == (
        f'three: POST {stage.partner.url}/three: expected status 2xx, got 503: {{"path": "/three"}}'
    )
    assert first.last_message == message

    del stage.partner.answer["/three"]
    stage.reset(attempt=2)
    second = stage.run(attempt=2)

    assert second.exit_code() == 0, second.log
    assert stage.partner.lines[3:] == ["POST /three", "POST /four", "POST /five"]
    assert set(stage.states.values()) == {"Succeeded"}
    uid = UUID(stage.object["metadata"]["uid"])
    assert stage.partner.keys("POST /three") == [str(uuid5(uid, "three/1"))] * 2
    assert len({request.key for request in stage.partner.requests}) == 5


def test_sigterm_ends_an_engine_at_once_and_its_activity_is_repeated_after_a_restore(stage):
    stage.create(http("one"), {"name": "long", "sleep": {"seconds": 600}}, http("two"))
    running = stage.run()
    running.until(lambda: stage.states.get("long") == "Running")

    running.process.send_signal(signal.SIGTERM)

    assert wait_until(lambda: running.ended, seconds=5)
    assert running.exit_code() == 143
    assert stage.states == {"one": "Succeeded", "long": "Running", "two": "Pending"}
