"""The engine killed at every write and every outside call of a plan, then restored; no point is hand-picked.

One engine works undisturbed behind the proxy: its writes and its outside calls are the points. Then, for each
of them, one engine is killed by SIGKILL just before it is passed on, and one after it was served and before
the answer is back. Another engine goes on as the operator lets it.
"""

import os
import signal
import ssl
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from tests.cluster.engine_harness import DEADLINE, Engine, EngineHarness, Request, acting, http
from tests.cluster.proxy import Proxy
from tests.cluster.proxy import Request as Write

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import parse
from lcm_operator.domain.verdict import is_over, plan_is_complete

pytestmark = pytest.mark.timeout(600)
AT_ONCE = 4
CALL = "outside call"
ASK = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1])
connection.request("POST", "/program", body=sys.stdin.read())
print("asked")
print('{"status": %d}' % connection.getresponse().status)
"""
PROGRAM = {
    "command": ["ask.sh", "{{ parameters.partner }}"],
    "env": {"PYTHON": sys.executable},
    "stdin": '{"token": "{{ outputs.token.token }}"}',
    "files": [
        {"name": "ask.sh", "content": '#!/bin/sh\n"$PYTHON" ask.py "${1#http://}"\n'},
        {"name": "ask.py", "configMapKeyRef": {"name": "programs", "key": "ask.py"}},
    ],
    "capture": {"answer": "{{ (stdout.lastLine | literal).status }}"},
    "timeoutSeconds": "{{ parameters.seconds | number }}",
}
LOGGED_IN = {"Authorization": "{{ outputs.token.token }}"}
PLAN = [
    http("token", http={"capture": {"token": "{{ response.json.path }}"}, "secretCapture": ["token"]}),
    http(
        "order",
        http={"headers": LOGGED_IN, "capture": {"order": "{{ response.json.path }}"}},
        set={"label": "Ordered"},
    ),
    {"name": "confirmed", "wait": {"signal": "confirmation", "timeoutSeconds": DEADLINE}},
    http(
        "ready",
        http={"method": "GET", "until": {"condition": "{{ response.json.ready }}", "intervalSeconds": 0.1}},
    ),
    {"name": "settle", "sleep": {"seconds": 0.1}},
    {"name": "program", "exec": PROGRAM, "set": {"label": "Running"}},
]
# The same in three branches: requests, a program, a wait and a pause are under way at once.
FLIGHT = [
    PLAN[0],
    http("order", http=PLAN[1]["http"], branch="flight"),
    PLAN[2] | {"branch": "flight"},
    PLAN[3] | {"branch": "check"},
    PLAN[5] | {"branch": "check"},
    PLAN[4] | {"branch": "clock"},
    {"name": "landed", "sleep": {"seconds": 0.1}},
]
RELEASE = http("release", when="{{ values.label == 'Running' }}")
# By the design, what runs again of these is a new run, and so has a new key.
WITH_NEW_RUNS = ("token", "release")


@dataclass(frozen=True)
class Course:
    """A plan, and how many of its activities may be under way at once."""

    plan: list[dict[str, Any]]
    side_by_side: int = 1


COURSES = {"one after the other": Course(PLAN), "parallel branches": Course(FLIGHT, side_by_side=3)}


@dataclass(frozen=True)
class Point:
    """The n-th write or call of its kind, before or after it was served."""

    kind: str
    nth: int
    served: bool


def kind_of(write: Write) -> str:
    return f"{write.method} {write.resource}/{write.subresource}"


def name_of(request: Request) -> str:
    return request.line.rpartition("/")[2]


class Life:
    """One TrialEngine on its way through the plan, and what its partner has served.

    `in_flight`: what the checkpoint had as Running when the engine was killed.
    """

    def __init__(
        self, harness: EngineHarness, proxy: Proxy, course: Course, point: Point | None = None
    ) -> None:
        self._course = course
        self._harness, self._proxy, self._point = harness, proxy, point
        self._served: list[Request] = []
        self._came = 0
        self._engines: list[Engine] = []
        self.in_flight: set[str] = set()
        for name in ("token", "order", "ready", "program", "release"):
            harness.partner.answer[f"/{name}"] = self._serve
        harness.give_file("programs", "ask.py", ASK)
        limit = {"name": "seconds", "value": str(DEADLINE)}
        harness.create(*course.plan, parameters=[limit], **{"finally": [RELEASE]})

    def lead_undisturbed(self) -> None:
        running = self._start()
        self._harness.grant(running)
        assert running.exit_code() == 0, running.log

    def lead(self, point: Point) -> None:
        """Die at the point, and go on in the next attempt if anything is left.

        Parallel branches may be saved in fewer writes than before: an engine that never comes to the point
        ends by itself.
        """
        running = self._start()
        if point.kind == CALL:
            self._harness.grant(running)
        else:
            self._die_at_write(running, point)
        ended = (-signal.SIGKILL, 0) if self._course.side_by_side > 1 else (-signal.SIGKILL,)
        assert running.exit_code() in ended, running.log
        self.in_flight = {name for name, state in self._harness.states.items() if state == "Running"}
        if self._is_anything_left():
            self._harness.reset()
            again = self._start()
            self._harness.grant(again, attempt=2)
            assert again.exit_code() == 0, again.log

    def wrote(self, write: Write) -> bool:
        mine = {self._harness.name, *(engine.pod for engine in self._engines)}
        return write.namespace == self._harness.namespace and write.name in mine

    def _start(self) -> Engine:
        self._engines.append(self._harness.start(server=self._proxy.url))
        return self._engines[-1]

    def _die_at_write(self, running: Engine, point: Point) -> None:
        held = self._proxy.hold(
            lambda write: self.wrote(write) and kind_of(write) == point.kind,
            nth=point.nth,
            taken=point.served,
        )
        self._harness.grant(running)
        running.until(lambda: held.reached.is_set() or (self._course.side_by_side > 1 and running.ended))
        if held.reached.is_set():
            self._kill()
            held.cut()

    def _serve(self, request: Request) -> int:
        """Serve a call, and be killed if it is the point; `order` is confirmed before it is answered."""
        self._came += 1
        here = self._point is not None and (self._point.kind, self._point.nth) == (CALL, self._came)
        if not (here and not self._point.served):
            self._served.append(request)
            if name_of(request) == "program":
                assert request.json == {"token": "/token"}
            self._harness.partner.body["/ready"] = {"ready": self.calls["ready"] > 1}
            if name_of(request) == "order":
                moment = datetime.now(UTC).isoformat()
                self._harness.write(signals=[{"id": "s", "name": "confirmation", "receivedTime": moment}])
        if here:
            self._kill()
        return 200

    def _kill(self) -> None:
        """End the engine, and what it has started, as the end of its container does."""
        process = self._engines[-1].process
        programs = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait(DEADLINE)
        for group in programs:
            with suppress(ProcessLookupError):
                os.killpg(int(group), signal.SIGKILL)

    def _is_anything_left(self) -> bool:
        """Return whether the trial has not succeeded yet: else the operator restores nothing."""
        engine = parse(self._harness.object, TrialEngine)
        return not (plan_is_complete(engine) and is_over(engine, engine.spec.finally_))

    @property
    def calls(self) -> Counter[str]:
        """How often the partner has served each activity."""
        return Counter(map(name_of, self._served))

    @cached_property
    def runs(self) -> dict[str, set[Any]]:
        """The runs that each activity came with in the end, by its Idempotency-Keys; an exec has none."""
        uid = UUID(self._harness.object["metadata"]["uid"])
        known = {str(uuid5(uid, f"{name}/{run}")): run for name in self.calls for run in (1, 2)}
        found: dict[str, set[Any]] = {}
        for request in self._served:
            found.setdefault(name_of(request), set()).add(known.get(request.key, request.key))
        return found

    @cached_property
    def outcome(self) -> dict[str, Any]:
        status = self._harness.object["status"]
        return {
            "activities": [
                (one["name"], one["state"], one.get("output"), one.get("message"))
                for one in status["activities"]
            ],
            "values": status["values"],
            "consumed": status["consumedSignals"],
        }

    def flaws(self, clean: "Life") -> list[str]:
        """Return in what this life differs from an undisturbed one, and may not."""
        mine, once = self.calls, clean.calls
        repeatable = {"token", *self.in_flight}
        found = [
            f"{name} came {mine[name]} times, not {times}; in flight: {self.in_flight}"
            for name, times in once.items()
            if not times <= mine[name] <= (2 * times if name in repeatable else times)
        ]
        found += [
            f"{name} came as the runs {runs}"
            for name, runs in self.runs.items()
            if not (runs <= {1, 2} if name in WITH_NEW_RUNS else runs == clean.runs[name])
        ]
        if len(self.in_flight) > self._course.side_by_side:
            found.append(f"{self.in_flight} were in flight at once")
        if self.outcome != clean.outcome:
            found.append(f"it came to {self.outcome}")
        return found


@pytest.fixture
def proxy(cluster) -> Iterator[Proxy]:
    identity = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    identity.load_cert_chain(cluster.layout.pki / "server.crt", cluster.layout.pki / "server.key")
    with Proxy(cluster.server, ssl.create_default_context(cafile=cluster.ca_file), identity) as proxy:
        yield proxy


def points_of(writes: list[Write], calls: int) -> list[Point]:
    """Return both sides of every write and every call."""
    kinds = Counter(map(kind_of, writes)) + Counter({CALL: calls})
    return [
        Point(kind, nth, served)
        for kind, count in kinds.items()
        for nth in range(1, count + 1)
        for served in (False, True)
    ]


@pytest.mark.parametrize("course", COURSES.values(), ids=COURSES.keys())
def test_kill_at_any_write_or_call_repeats_only_what_was_in_flight(
    cluster, namespace, tmp_path, proxy, course
):
    with acting(cluster, namespace, tmp_path, "clean") as harness:
        clean = Life(harness, proxy, course)
        clean.lead_undisturbed()
        assert set(harness.states.values()) == {"Succeeded"}
        points = points_of([write for write in proxy.writes if clean.wrote(write)], clean.calls.total())

        def flaws(number: int) -> list[str]:
            folder = tmp_path / str(number)
            folder.mkdir()
            with acting(cluster, namespace, folder, f"point-{number}") as its_harness:
                life = Life(its_harness, proxy, course, points[number])
                life.lead(points[number])
                return life.flaws(clean)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = dict(zip(points, pool.map(flaws, range(len(points))), strict=True))

    assert {point: flaws for point, flaws in found.items() if flaws} == {}
