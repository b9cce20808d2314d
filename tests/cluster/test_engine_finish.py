"""`finish`, sent through the real sidecar, interrupts what the real engine is doing.

The aim is one second from the acknowledgement to the activity's completionTime. Measured on two loaded cores:
2 ms for a request, 2 ms for a wait, less than 1 ms for a sleep. The bound leaves room for a slower machine.
"""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from tests.cluster.engine_harness import acting, http
from tests.cluster.rest_harness import sidecar

BOUND = timedelta(seconds=5)
LONG = {
    "a request": http("long", http={"timeoutSeconds": 600}),
    "a wait": {"name": "long", "wait": {"signal": "never"}},
    "a sleep": {"name": "long", "sleep": {"seconds": 600}},
}


@pytest.fixture
def harness(cluster, namespace, tmp_path):
    with acting(cluster, namespace, tmp_path) as harness:
        yield harness


@pytest.fixture
def lcm(cluster, namespace, tmp_path):
    with sidecar(cluster, namespace, tmp_path) as lcm:
        yield lcm


@pytest.mark.parametrize("long", LONG.values(), ids=LONG.keys())
def test_finish_interrupts(harness, lcm, long):
    came, over = threading.Event(), threading.Event()
    harness.partner.answer["/long"] = lambda _: came.set() or (over.wait() and 200)
    harness.create(long, http("between"), http("end"), finishAt="end")
    running = harness.run()
    if "http" in long:
        running.until(came.is_set)
    running.until(lambda: harness.states.get("long") == "Running")

    assert lcm.call("POST", "/trial/example/finish").status == 200

    acknowledged = datetime.now(UTC)
    assert running.exit_code() == 0, running.log
    over.set()
    assert harness.states == {"long": "Skipped", "between": "Skipped", "end": "Succeeded"}
    taken = datetime.fromisoformat(harness.activity("long")["completionTime"]) - acknowledged
    assert taken < BOUND
