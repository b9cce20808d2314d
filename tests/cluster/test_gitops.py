"""Objects that Git owns: nobody else writes their fields; `kubectl wait` and kstatus read their status."""

import json
from typing import Any

import pytest
from tests.chart.test_health import kstatus
from tests.cluster.operator_harness import OperatorHarness, Trial, TrialPlan, condition, in_seconds, nap
from tests.cluster.registry_harness import FAR, RegistryHarness
from tests.cluster.rest_harness import TrialRegistry

from devcluster.cluster.layout import REPOSITORY
from devcluster.programs.kubernetes import find_programs

GIT = "argocd-controller"
PERSON = "person"
FAILS = {"name": "fly", "exec": {"command": ["sh", "-c", "exit 1"]}}
Json = dict[str, Any]


def trial(name: str, start: str, **spec: Any) -> tuple[str, str, Json]:
    return "Trial", name, {"startTime": start} | spec


def apply(harness: OperatorHarness, *objects: tuple[str, str, Json]) -> None:
    """Apply objects as a GitOps tool does, which takes no field from anybody."""
    items = [
        {
            "apiVersion": "lcm.5gdrones.eu/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": harness.namespace, "labels": {"team": "lab"}},
            "spec": spec,
        }
        for kind, name, spec in objects
    ]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    harness.cluster.kubectl("apply", "--server-side", f"--field-manager={GIT}", "--filename=-", stdin=given)


def others_fields(raw: Json) -> list[tuple[str, list[str]]]:
    """Return who else owns which fields of an object outside of its status."""
    return [
        (entry["manager"], sorted(entry["fieldsV1"]))
        for entry in raw["metadata"]["managedFields"]
        if entry.get("subresource") != "status" and entry["manager"] not in (GIT, PERSON)
    ]


def outdated(thing: Any) -> list[str]:
    """Return the conditions that `kubectl wait` passes over."""
    generation = thing.obj["metadata"]["generation"]
    status = thing.obj.get("status", {})
    shown = [status, *status.get("conditions", [])]
    return [
        each.get("type", "status")
        for each in shown
        if each.get("observedGeneration", generation) < generation
    ]


def test_nothing_that_git_owns_is_written_whatever_happens_to_a_trial(field: RegistryHarness):
    harness = field.harness
    field.serve_times(imported=FAR)
    objects = (
        ("TrialPlan", "flight", {"activities": [nap(), FAILS], "finally": [nap("release")]}),
        (
            "TrialRegistry",
            "default",
            {
                "url": field.registry.url,
                "intervalSeconds": 1,
                "import": "All",
                "onVanished": "Suspend",
                "trialTemplate": {"activities": [nap()]},
            },
        ),
        trial("fails", in_seconds(2), planRef={"name": "flight"}),
        trial("passes", in_seconds(2), activities=[nap()]),
        trial("missed", in_seconds(-600), activities=[nap()]),
        trial("stopped", in_seconds(3600), activities=[nap()]),
        (
            "Trial",
            "listed",
            {"registryRef": {"name": "default"}, "trialID": "imported-by-git", "activities": [nap()]},
        ),
    )
    apply(harness, *objects)
    trials = {each.name: each for each in harness.trials()}

    harness.until_condition(trials["fails"], "Succeeded", "False", "ActivityFailed")
    harness.until_condition(trials["passes"], "Finished", "True", "Succeeded")
    harness.until_condition(trials["missed"], "Finished", "True", "Missed")
    for name, request in (("fails", "restore=r1"), ("stopped", "delete=d1")):
        annotation = f"lcm.5gdrones.eu/{request}"
        where = (f"--namespace={harness.namespace}", f"--field-manager={PERSON}")
        harness.cluster.kubectl("annotate", "trial", name, annotation, *where)
    harness.until_condition(trials["stopped"], "Finished", "True", "Cancelled")
    harness.until(
        trials["fails"], lambda status: status.get("lastHandledRestore", {}).get("result") == "Done"
    )
    harness.until(trials["fails"], lambda status: status["attempt"] == 2 and status["phase"] == "Failed")
    field.serve_times()
    harness.wait(lambda: trial_of(harness, "imported").obj["spec"].get("suspend") is True)

    kinds = (Trial, TrialPlan, TrialRegistry)
    owned = [each for kind in kinds for each in kind.objects(harness.api, namespace=harness.namespace)]
    found = {each.name: others_fields(each.obj) for each in owned if each.name != "imported"}
    assert found == {name: [] for _, name, _ in objects}
    assert {each.name: each.obj["metadata"]["generation"] for each in owned if each.name != "imported"} == {
        name: 1 for _, name, _ in objects
    }
    apply(harness, *objects)  # a conflict would be an error


def trial_of(harness: OperatorHarness, name: str) -> Trial:
    return Trial.objects(harness.api, namespace=harness.namespace).get_by_name(name)


@pytest.fixture
def wait_for(harness: OperatorHarness):
    """Return what `kubectl wait` for a condition of a trial says."""

    def wait(name: str, kind: str, status: str) -> str:
        where = (f"--namespace={harness.namespace}", "--timeout=20s")
        command = ("wait", f"--for=condition={kind}={status}", f"trial/{name}", *where)
        return harness.cluster.kubectl(*command, check=False).stdout.strip()

    return wait


def test_kubectl_wait_and_kstatus_hold_after_each_edit(harness: OperatorHarness, wait_for):
    lacking = harness.trial("lacking", start=in_seconds(3600), planRef={"name": "later"})
    waiting = harness.trial("waiting", start=in_seconds(3600))
    harness.until_condition(lacking, "Armed", "False", "PlanNotFound")
    for edit in (
        {"metadata": {"labels": {"team": "lab"}}},
        {"spec": {"startTime": in_seconds(7200)}},
        {"spec": {"suspend": True}},
        {"spec": {"suspend": False, "parameters": {"height": "50"}}},
        {"metadata": {"annotations": {"example.com/note": "changed"}}},
    ):
        waiting.patch(edit)
        harness.until(waiting, lambda _: outdated(waiting) == [])
    shown = {each["type"]: each["status"] for each in waiting.obj["status"]["conditions"]}
    assert set(shown) == {"Accepted", "Scheduled", "Armed", "Started", "Succeeded", "Finished"}
    for kind, status in shown.items():
        assert wait_for("waiting", kind, status).endswith("condition met"), kind

    harness.until_condition(lacking, "Stalled", "True", "PlanNotFound")
    assert kstatus([waiting.obj, lacking.obj]) == ["Current", "Failed"]
    harness.create(TrialPlan, "later", {"activities": [nap()]})
    harness.until(lacking, lambda _: condition(lacking, "Stalled") == ("", ""))
    assert kstatus([lacking.obj]) == ["Current"]


def test_kubectl_wait_and_kstatus_hold_for_a_trial_that_failed(harness: OperatorHarness, wait_for):
    started = harness.trial("flies", start=in_seconds(2), activities=[nap(), FAILS])
    harness.until_condition(started, "Finished", "True", "Failed")
    started.patch({"spec": {"activities": [nap(), nap("fly")]}})
    harness.until(started, lambda _: outdated(started) == [])

    assert wait_for("flies", "Finished", "True").endswith("condition met")
    engine = harness.engine("flies")
    assert kstatus([started.obj, engine.obj]) == ["Failed", "Failed"]
    harness.annotate(started, restore="r1", restore_plan="r1")
    harness.until_condition(started, "Finished", "True", "Succeeded")
    engine.reload()
    assert outdated(started) == []
    assert outdated(engine) == []
    assert engine.obj["metadata"]["generation"] == 2
    assert kstatus([started.obj, engine.obj]) == ["Current", "Current"]


def test_registry_its_namespace_and_its_crd_go_without_an_operator(field: RegistryHarness):
    harness, kubectl = field.harness, field.harness.cluster.kubectl
    field.serve_times(imported=FAR)
    field.serve(**{"import": "All"})
    harness.wait(lambda: field.names() == {"imported"})
    harness.cluster.stop("operator")

    crd = ("crd", "trialregistries.lcm.5gdrones.eu")
    kubectl("delete", *crd, "--wait=false")
    harness.wait(lambda: not kubectl.get(*crd))
    kubectl("delete", "namespace", harness.namespace, "--wait=false")
    harness.wait(lambda: not kubectl.get("namespace", harness.namespace))
    kubectl.apply([REPOSITORY / "deploy" / "crds" / "trialregistries.yaml"])  # for the tests that follow
    harness.cluster.up(find_programs(print))
