"""Mistakes of users: each is reported where the user looks, long before the start, with the next step."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_harness import GROUP, OperatorHarness, Trial, TrialPlan, in_seconds, nap

from devcluster.cluster.cluster import Cluster

HOUR = 3600
FORMAT = "RFC 3339: 2026-11-24T10:00:00+02:00"


def env(expression: str, *before: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a plan whose last activity has an expression in its environment."""
    return [*before, {"name": "say", "exec": {"command": ["true"], "env": {"TEXT": expression}}}]


def container(**parts: Any) -> dict[str, Any]:
    """Return engine settings whose template has one container."""
    return {"template": {"spec": {"containers": [{"name": "engine"} | parts]}}}


@pytest.fixture(scope="module")
def lab(staffed: Cluster) -> Iterator[OperatorHarness]:
    """One namespace for all mistakes, with a TrialPlan `flight`."""
    with fresh_namespace(staffed) as name:
        harness = OperatorHarness(staffed, name)
        harness.create(TrialPlan, "flight", {"activities": [nap()], "parameters": [{"name": "drone"}]})
        yield harness


def applied(lab: OperatorHarness, name: str, **spec: Any) -> str:
    """Return what kubectl answers to a user who applies a Trial."""
    wanted = {"startTime": in_seconds(HOUR), "activities": [nap()]} | spec
    manifest = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "Trial",
        "metadata": {"name": name, "namespace": lab.namespace},
        "spec": {key: value for key, value in wanted.items() if value is not None},
    }
    done = lab.cluster.kubectl("apply", "--filename=-", stdin=json.dumps(manifest), check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(
            {"activities": [{"name": "a", "slep": {"seconds": 1}}]},
            ['unknown field "spec.activities[0].slep"'],
            id="a typo in a field of an activity",
        ),
        pytest.param({"startTme": "x"}, ['unknown field "spec.startTme"'], id="a typo in a field"),
        pytest.param({"startTime": "2031-12-01T10:00:00"}, ["startTime", FORMAT], id="no zone"),
        pytest.param({"startTime": "2031-12-01T10:00:00+2"}, ["startTime", FORMAT], id="+2"),
        pytest.param({"startTime": "2031-12-01 10:00 EET"}, ["startTime", FORMAT], id="a zone by name"),
        pytest.param({"startTime": "2031-12-01"}, ["startTime", FORMAT], id="a date"),
        pytest.param({"startTime": None}, ["startTime", "registryRef"], id="no start time"),
        pytest.param({"parameters": {"minutes": 5}}, ["parameters.minutes", "string"], id="no quotes"),
        pytest.param({"planRef": {"name": "flight"}}, ["planRef", "activities"], id="plan and activities"),
        pytest.param(
            {"activities": [nap(), nap()]}, ["names must be unique"], id="two activities of one name"
        ),
        pytest.param(
            {"activities": [nap("{{ trial.id }}")]}, ["activities[0].name"], id="an expression as name"
        ),
    ],
)
def test_kubectl_refuses_with_field_and_reason(lab: OperatorHarness, spec: dict[str, Any], words: list[str]):
    said = applied(lab, "refused", **spec)
    assert [word for word in words if word not in said] == [], said
    assert "should match '^\\d" not in said


PLAN = {"planRef": {"name": "flight"}, "activities": None}
NOT_READY: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "a wrong plan name": (
        {"planRef": {"name": "flihgt"}, "activities": None},
        "PlanNotFound",
        ["TrialPlan flihgt does not exist", "did you mean flight?"],
    ),
    "no plan": ({"activities": None}, "PlanNotFound", ["neither planRef nor activities"]),
    "a parameter that the plan does not declare": (
        PLAN | {"parameters": {"dron": "d-1"}},
        "ParametersInvalid",
        ["spec.parameters.dron: not declared", "spec.parameters.drone: required"],
    ),
    "a statement": (
        {"activities": [{"name": "a", "http": {"url": "http://partner/{% if x %}{% endif %}"}}]},
        "PlanInvalid",
        ["activities[0].http.url", "only expressions {{ }}"],
    ),
    "an expression that does not end": (
        {"activities": env("{{ trial.id")},
        "PlanInvalid",
        ["activities[0].exec.env.TEXT"],
    ),
    "an unknown activity": (
        {"activities": env("{{ outputs['nope'].x }}")},
        "PlanInvalid",
        ["activities[0].exec.env.TEXT", "nope"],
    ),
    "an activity that comes later": (
        {"activities": [*env("{{ outputs['last'].exitCode }}"), nap("last")]},
        "PlanInvalid",
        ["no earlier activity is named last"],
    ),
    "an unknown output": (
        {"activities": env("{{ outputs['nap'].slice }}", nap())},
        "PlanInvalid",
        ["nap", "slice"],
    ),
    "an unknown parameter": (
        {"activities": env("{{ parameters.dron }}"), "parameters": {"drone": "d-1"}},
        "PlanInvalid",
        ["dron"],
    ),
    "an unknown filter": ({"activities": env("{{ trial.id | uper }}")}, "PlanInvalid", ["uper"]),
    "a Secret in the template that does not exist": (
        {
            "engine": container(
                env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "chat", "key": "url"}}}]
            )
        },
        "SecretNotFound",
        ["Secret chat does not exist", "create it"],
    ),
    "a ConfigMap in the template that does not exist": (
        {
            "engine": container(
                env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "scripts", "key": "a"}}}]
            )
        },
        "ConfigMapNotFound",
        ["ConfigMap scripts does not exist", "create it"],
    ),
    "fields that a template may not have": (
        {
            "engine": {
                "template": {"spec": {"hostNetwork": True, "containers": [{"name": "engine", "tty": True}]}}
            }
        },
        "TemplateRefused",
        ["spec.hostNetwork: not allowed", "containers[0].tty: not allowed"],
    ),
    "an image of the user's own": (
        {"engine": container(image="example.com/measure:1")},
        "TemplateRefused",
        ["image"],
    ),
}


@pytest.mark.parametrize("mistake", NOT_READY)
def test_a_trial_is_not_ready_an_hour_ahead_because_of(lab: OperatorHarness, mistake: str):
    spec, reason, words = NOT_READY[mistake]
    name = mistake.lower().replace(" ", "-").replace("'", "")
    assert "created" in applied(lab, name, **spec)
    trial = Trial.objects(lab.api, namespace=lab.namespace).get_by_name(name)
    status = lab.until_condition(trial, "Armed", "False", reason)

    assert [word for word in words if word not in status["message"]] == [], status["message"]
    assert (status["ready"], status["phase"]) == ("False", "Scheduled")
    assert words[0] in lab.cluster.kubectl("get", "trial", name, place(lab), "--output=wide").stdout
    lab.wait(
        lambda: (
            words[0]
            in lab.cluster.kubectl("describe", "trial", name, place(lab)).stdout.partition("Events:")[2]
        )
    )


PROBE = {"exec": {"command": ["true"]}, "periodSecond": 9}
ZONE = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelecter": {}}


def test_a_trial_is_not_armed_because_of_typos_deep_in_its_template(lab: OperatorHarness):
    template = container(readinessProbe=PROBE)["template"]
    template["spec"] |= {
        "affinity": {"nodeAffinity": {"requiredDuringScheduling": {}}},
        "topologySpreadConstraints": [ZONE],
        "volumes": [{"name": "vault", "csi": {"driver": "vault.example.com", "readonly": True}}],
    }
    applied(lab, "typos", startTime=in_seconds(58), engine={"template": template})
    trial = Trial.objects(lab.api, namespace=lab.namespace).get_by_name("typos")
    status = lab.until_condition(trial, "Armed", "False", "AdmissionRefused")
    (message,) = (each["message"] for each in status["conditions"] if each["type"] == "Armed")

    for field in (
        "spec.affinity.nodeAffinity.requiredDuringScheduling",
        "spec.containers[0].readinessProbe.periodSecond",
        "spec.topologySpreadConstraints[0].labelSelecter",
        "spec.volumes[0].csi.readonly",
    ):
        assert f'unknown field "{field}"' in message


def place(lab: OperatorHarness) -> str:
    return f"--namespace={lab.namespace}"
