"""docs/write-a-plan.md works as it says: its plan, its three trials, and the repair of one of them."""

import copy
import json
import re
import subprocess
import sys
import threading
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from tests.cluster.loopback import LoopbackServer
from tests.cluster.operator_harness import OperatorHarness, Trial, in_seconds
from tests.cluster.rest_harness import sidecar

from devcluster.cluster.layout import REPOSITORY

PAGE = (REPOSITORY / "docs" / "write-a-plan.md").read_text(encoding="utf-8")
PROGRAM, PLAN, TRIALS = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
RESTORE, RESTORE_PLAN = "lcm.5gdrones.eu/restore", "lcm.5gdrones.eu/restore-plan"


class Field(LoopbackServer):
    """Fleet, airspace and chat on one port: calls back when a drone is reserved, and charges it meanwhile."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.reserved: dict[str, str] = {}
        self.released: list[str] = []
        self.asked: dict[str, int] = {}
        super().__init__()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        match method, path.strip("/").split("/"):
            case "POST", ["reservations"]:
                number = f"r-{len(self.reserved) + 1}"
                self.reserved[number] = body["drone"]
                threading.Thread(target=self._call_back, args=(body,), daemon=True).start()
                return 201, {"id": number}
            case "GET", ["drones", drone]:
                self.asked[drone] = self.asked.get(drone, 0) + 1
                return 200, {"battery": 95 if self.asked[drone] > 1 else 40}
            case "POST", ["messages"]:
                self.messages.append(body["text"])
                return 200, {}
            case "DELETE", ["reservations", number]:
                self.released.append(number)
                return 204, {}
        return 404, {}

    @staticmethod
    def _call_back(body: dict[str, Any]) -> None:
        requests.post(body["callback"], headers={"Authorization": body["token"]}, timeout=30)

    def respond(self, method: str, path: str, _: Message, body: bytes) -> tuple[int, bytes]:
        status, reply = self.answer(method, path, json.loads(body or b"{}"))
        return status, b"" if status == 204 else json.dumps(reply).encode()


@pytest.fixture
def field() -> Any:
    running = Field()
    yield running
    running.close()


def test_the_plan_check_says_what_the_page_says(tmp_path: Path):
    file = tmp_path / "flight-day.yaml"
    file.write_text(f"{PLAN}---\n{TRIALS}")
    command = [sys.executable, "-m", "lcm_operator.cli", "plan", "check", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    number = re.search(r"`OK: (\d+) activities`", PAGE)
    assert number is not None
    assert (done.returncode, done.stdout) == (0, f"OK: {number[1]} activities\n")


def test_the_flight_day_of_the_page(harness: OperatorHarness, field: Field, tmp_path: Path):
    def apply(*manifests: dict[str, Any]) -> None:
        text = yaml.safe_dump_all(manifests)
        harness.cluster.kubectl("apply", f"--namespace={harness.namespace}", "--filename=-", stdin=text)

    def annotate(*annotations: str) -> None:
        arguments = ("annotate", "--overwrite", "trial", "noon", *annotations)
        harness.cluster.kubectl(*arguments, f"--namespace={harness.namespace}")

    def until(name: str, phase: str) -> None:
        trial = Trial.objects(harness.api, namespace=harness.namespace).get_by_name(name)
        harness.until(trial, lambda status: status.get("phase") == phase)

    with sidecar(harness.cluster, harness.namespace, tmp_path) as rest:
        plan = yaml.safe_load(PLAN)
        urls = {"fleetUrl": field.url, "chatUrl": field.url, "lcmUrl": f"http://127.0.0.1:{rest.port}"}
        for parameter in plan["spec"]["parameters"]:
            if parameter["name"] in urls:
                parameter["default"] = urls[parameter["name"]]
        broken = copy.deepcopy(plan)
        (measure,) = (each for each in broken["spec"]["activities"] if each["name"] == "measure")
        measure["exec"]["capture"]["samples"] = "{{ stdout.json.sample }}"
        trials = {trial["metadata"]["name"]: trial for trial in yaml.safe_load_all(TRIALS)}
        for trial in trials.values():
            trial["spec"]["parameters"]["minutes"] = "0.05"

        apply(yaml.safe_load(PROGRAM), broken)
        trials["noon"]["spec"]["startTime"] = in_seconds(5)
        apply(trials["noon"])
        until("noon", "Failed")
        harness.wait(lambda: field.messages)
        assert "noon failed in measure (attempt 1): " in field.messages[0]
        assert field.released == []

        apply(plan)
        annotate(f"{RESTORE}=second", f"{RESTORE_PLAN}=second")
        until("noon", "Succeeded")

        for name in ("morning", "evening"):
            trials[name]["spec"]["startTime"] = in_seconds(5)
        apply(trials["morning"], trials["evening"])
        until("morning", "Succeeded")
        until("evening", "Succeeded")

    assert sorted(re.sub(r"\d+ samples", "n samples", text) for text in field.messages[1:]) == [
        "evening flew with d-17: n samples",
        "morning flew with d-17: n samples",
        "noon flew with d-18: n samples",
    ]
    assert sorted(field.reserved.values()) == ["d-17", "d-17", "d-18"]
    assert sorted(field.released) == sorted(field.reserved)
