"""Objects that nest as deep as the API server takes them: they harm nobody but themselves.

Every place of our CRDs that takes unknown fields is filled, in a namespace of somebody who means ill, while
operator and sidecar run. The honest trial beside them starts, and so does one after both were started anew.
"""

import json
import signal
from pathlib import Path
from typing import Any

import pykube
import pytest
import requests
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_harness import GROUP, OperatorHarness, in_seconds, nap
from tests.cluster.rest_harness import sidecar
from tests.unit.api.test_bounds import OPEN, filled

from devcluster.cluster.components import OPERATOR
from devcluster.programs.kubernetes import find_programs

DEPTHS = (80, 980, 1_500, 9_000)
KINDS = {
    "trials": "Trial",
    "trialengines": "TrialEngine",
    "trialplans": "TrialPlan",
    "trialregistries": "TrialRegistry",
}
STATUS = "status.activities[].output"


def completed(plural: str, path: str) -> dict[str, Any]:
    """Return an object that the API server takes, with `DEEP` at a path."""
    raw = filled(plural, path, "DEEP")
    spec = raw["spec"]
    plan = spec.get("trialTemplate", spec)
    plan.setdefault("activities", [nap()])
    for activity in [*plan["activities"], *plan.get("onFailure", []), *plan.get("finally", [])]:
        activity.pop("state", None), activity.pop("run", None)
    return raw


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


class Hostile(OperatorHarness):
    """A namespace of somebody who means ill, and plain HTTP: no client's encoder takes such objects."""

    def send(
        self, method: str, path: str, body: dict[str, Any], deep: int | str, kind: str = "json"
    ) -> requests.Response:
        """Send a body in which each `DEEP` nests so deep, or is this text."""
        url = f"{self.api.url}/apis/{GROUP}/v1alpha1/namespaces/{self.namespace}/{path}"
        text = json.dumps(body).replace('"DEEP"', deep if isinstance(deep, str) else nested(deep))
        headers = {"Content-Type": f"application/{kind}"}
        answer = self.api.session.request(method, url, data=text, headers=headers, timeout=60)
        assert answer.status_code < 300, answer.text[:2_000]
        return answer

    def fill(self, levels: int) -> list[tuple[str, str]]:
        """Create an object for each place that takes unknown fields; return kinds and names."""
        made = []
        for number, (plural, path) in enumerate(OPEN):
            raw = completed(plural, path)
            name = f"deep-{levels}-{number}"
            raw["metadata"] = {"name": name}
            raw |= {"apiVersion": f"{GROUP}/v1alpha1", "kind": KINDS[plural]}
            if plural == "trials":
                raw["spec"]["startTime"] = in_seconds(20)
            status = raw.pop("status", None)
            self.send("POST", plural, raw, levels)
            if status:
                patch = json.dumps({"status": status}).replace('"output": "DEEP"', '"output": {"x": "DEEP"}')
                assert "DEEP" in patch
                self.send("PATCH", f"{plural}/{name}/status", json.loads(patch), levels, "merge-patch+json")
            made.append((KINDS[plural], name))
        return made

    def shown(self, plurals: str, jsonpath: str) -> str:
        """Return what kubectl makes of these objects; no decoder of Python's takes them."""
        return self.cluster.kubectl(
            "get", plurals, f"--namespace={self.namespace}", f"--output=jsonpath={jsonpath}"
        ).stdout

    def complaints(self) -> dict[tuple[str, str], int]:
        """Return how many Events there are of each object that can't be read."""
        found: dict[tuple[str, str], int] = {}
        for event in pykube.Event.objects(self.api, namespace=self.namespace):
            if event.obj["reason"] == "Malformed":
                about = event.obj["involvedObject"]
                found[about["kind"], about["name"]] = found.get((about["kind"], about["name"]), 0) + 1
        return found


@pytest.fixture(scope="module")
def hostile(staffed):
    staffed.up(find_programs(print))
    with fresh_namespace(staffed) as name:
        yield Hostile(staffed, name)


def states(status: dict[str, Any]) -> list[str]:
    return [activity["state"] for activity in status.get("activities", [])]


def starts(harness: OperatorHarness, name: str) -> None:
    """Have an honest trial started, and through its plan."""
    trial = harness.trial(name, start=in_seconds(3))
    harness.until_condition(trial, "Succeeded", "True", "Completed")


@pytest.mark.parametrize("levels", DEPTHS)
def test_honest_trials_start_beside_objects_of_any_depth(
    harness: OperatorHarness, hostile: Hostile, levels: int
):
    before = harness.cluster.layout.process(OPERATOR).pid()
    made = hostile.fill(levels)
    starts(harness, "beside")
    harness.cluster.stop(OPERATOR, signal.SIGKILL)
    harness.cluster.start(OPERATOR)
    starts(harness, "afterwards")
    after = harness.cluster.layout.process(OPERATOR).pid()
    assert before != after
    ours = {(kind, name) for kind, name in made if kind != "TrialEngine"}
    harness.wait(lambda: ours <= hostile.complaints().keys())
    assert set(hostile.complaints().values()) == {1}
    armed = '{range .items[*]}{.status.conditions[?(@.type=="Armed")].reason} {end}'
    harness.wait(lambda: {*hostile.shown("trials", armed).split()} == {"PlanUnsupported", "TemplateRefused"})
    assert harness.cluster.layout.process(OPERATOR).pid() == after
    for plural in KINDS:
        hostile.cluster.kubectl("delete", f"{plural}.{GROUP}", "--all", f"--namespace={hostile.namespace}")
    harness.wait(lambda: not hostile.shown("trials,trialengines", "{.items[*].kind}"))


LARGE = {
    "wide": "[" + ",".join(["[]"] * 400_000) + "]",
    "one text": '"' + "x" * 1_200_000 + '"',
    "many deep ones": "[" + ",".join([nested(2_000)] * 250) + "]",
}


@pytest.mark.parametrize("value", LARGE)
def test_honest_trials_start_beside_objects_of_any_size(
    harness: OperatorHarness, hostile: Hostile, value: str
):
    before = harness.cluster.layout.process(OPERATOR).pid()
    name = f"large-{value.replace(' ', '-')}"
    for number in range(3):
        raw = completed("trialplans", ".spec.activities[].http.json")
        raw["metadata"] = {"name": f"{name}-{number}"}
        raw |= {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TrialPlan"}
        hostile.send("POST", "trialplans", raw, LARGE[value])
    starts(harness, "beside")
    harness.cluster.stop(OPERATOR, signal.SIGTERM)
    harness.cluster.start(OPERATOR)
    starts(harness, "afterwards")
    assert harness.cluster.layout.process(OPERATOR).pid() != before
    hostile.cluster.kubectl("delete", f"trialplans.{GROUP}", "--all", f"--namespace={hostile.namespace}")


def test_engine_that_makes_its_own_status_deep_is_restored_and_removed(hostile: Hostile, tmp_path: Path):
    with sidecar(hostile.cluster, hostile.namespace, tmp_path) as rest:
        operator = hostile.cluster.layout.process(OPERATOR).pid()
        trial = hostile.trial("sly", start=in_seconds(2), activities=[nap(), nap("long", 600)])
        hostile.until(trial, lambda status: "startedTime" in status)
        engine = hostile.engine("sly")
        hostile.until(engine, lambda status: states(status) == ["Succeeded", "Running"])
        activities = engine.obj["status"]["activities"]
        activities[0]["output"] = {"x": "DEEP"}
        patch = {"status": {"activities": activities}}
        hostile.send("PATCH", "trialengines/sly/status", patch, 9_000, "merge-patch+json")
        hostile.wait(lambda: ("TrialEngine", "sly") in hostile.complaints())
        assert rest.call("GET", "/trial/sly/status").status == 200
        hostile.annotate(trial, restore="again")
        attempt = "{.items[*].status.attempt} {.items[*].status.podRef.name}"
        hostile.wait(lambda: hostile.shown("trialengines", attempt) == "2 sly-2")
        trial.delete()
        hostile.wait(lambda: not hostile.shown("trials,trialengines,pods", "{.items[*].kind}"))
        assert hostile.cluster.layout.process(OPERATOR).pid() == operator
        assert rest.stop() == 0
