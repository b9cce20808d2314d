"""What was imported is remembered without a finalizer: nothing hangs and nothing comes back."""

import signal
from collections import Counter
from datetime import UTC, datetime, timedelta

from tests.cluster.operator_harness import Trial, nap
from tests.cluster.registry_harness import FAR, RegistryHarness
from tests.cluster.rest_harness import TrialRegistry

from devcluster.programs.kubernetes import find_programs

MANY = 200


def test_nothing_that_is_imported_hangs_without_an_operator_or_comes_back(field: RegistryHarness):
    harness = field.harness
    field.serve_times(survey=FAR, other=FAR)
    registry = field.serve(**{"import": "All"})
    harness.wait(lambda: field.names() == {"survey", "other"})
    harness.until(registry, lambda status: len(status.get("imports", [])) == 2)
    idle = harness.create(TrialRegistry, "idle", {"url": field.registry.url, "suspend": True})
    harness.until(idle, lambda status: status.get("conditions"))

    harness.cluster.stop("operator")
    Trial.objects(harness.api, namespace=harness.namespace).get_by_name("survey").delete()
    idle.delete()
    harness.wait(lambda: field.names() == {"other"} and not idle.exists())
    harness.cluster.up(find_programs(print))

    field.until_asked_again()
    assert field.names() == {"other"}
    harness.until(registry, lambda status: status.get("ignored") == ["survey"])


def test_one_that_is_deleted_without_an_operator_and_moved_stays_away(field: RegistryHarness):
    """Its start time passes before an operator runs again, and the registry gives it another."""
    harness, start = field.harness, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=15)
    field.serve_times(survey=start.isoformat())
    registry = field.serve(**{"import": "All"})
    harness.until(registry, lambda status: len(status.get("imports", [])) == 1)

    harness.cluster.stop("operator")
    Trial.objects(harness.api, namespace=harness.namespace).get_by_name("survey").delete()
    harness.wait(lambda: datetime.now(UTC) > start)
    field.serve_times(survey=FAR)
    harness.cluster.up(find_programs(print))

    harness.until(registry, lambda status: status.get("ignored") == ["survey"])
    field.until_asked_again()
    assert field.names() == set()


def test_one_that_is_cancelled_and_kept_for_its_time_stays_away(field: RegistryHarness):
    harness, start = field.harness, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
    field.serve_times(survey=start.isoformat())
    spec = {"activities": [nap()], "ttlSecondsAfterFinished": 1, "startingDeadlineSeconds": 0}
    registry = field.serve(**{"import": "All", "trialTemplate": spec})
    harness.wait(lambda: field.names() == {"survey"})
    survey = Trial.objects(harness.api, namespace=harness.namespace).get_by_name("survey")

    harness.annotate(survey, delete="d1")
    harness.until(survey, lambda status: status.get("phase") == "Cancelled")
    field.serve_times(survey=FAR)
    harness.wait(lambda: field.names() == set())

    field.until_asked_again()
    assert field.names() == set()
    harness.until(registry, lambda status: status.get("ignored") == ["survey"])


def test_a_namespace_is_deleted_without_an_operator(field: RegistryHarness):
    harness = field.harness
    field.serve_times(survey=FAR)
    field.serve(**{"import": "All"})
    harness.wait(lambda: field.names() == {"survey"})

    harness.cluster.stop("operator", signal.SIGKILL)
    harness.cluster.kubectl("delete", "namespace", harness.namespace, "--wait=false")

    harness.wait(lambda: not harness.cluster.kubectl.get("namespace", harness.namespace))


def test_operator_killed_while_it_imports_loses_and_doubles_nothing(field: RegistryHarness):
    harness = field.harness
    field.serve_times(**{f"trial-{number}": FAR for number in range(MANY)})
    registry = field.serve(**{"import": "All"})
    for share in (1, MANY // 3, 2 * MANY // 3):
        harness.wait(lambda share=share: len(field.names()) >= share)
        harness.cluster.stop("operator", signal.SIGKILL)
        harness.cluster.up(find_programs(print))

    harness.until(registry, lambda status: status.get("imported") == MANY)
    field.until_asked_again()
    ids = Counter(trial.obj["spec"]["trialID"] for trial in harness.trials())
    assert (len(ids), max(ids.values())) == (MANY, 1)
    registry.reload()
    assert "ignored" not in registry.obj["status"]
    assert len(registry.obj["status"]["imports"]) == MANY


def test_finalizers_of_earlier_versions_are_taken_off(field: RegistryHarness):
    harness = field.harness
    harness.cluster.stop("operator")
    field.serve_times(kept=FAR, deleted=FAR)
    wanted = {"url": field.registry.url, "import": "All", "intervalSeconds": 3600}
    registry = held(field, TrialRegistry, "default", "timer", wanted)
    spec = {"registryRef": {"name": "default"}, "activities": [nap()]}
    noted = {"lcm.5gdrones.eu/registry-start-time": FAR}
    kept = held(field, Trial, "kept", "import", spec, noted)
    deleted = held(field, Trial, "deleted", "import", spec, noted)
    deleted.delete()

    harness.cluster.up(find_programs(print))

    harness.wait(lambda: not deleted.exists())
    harness.until(registry, lambda status: status.get("ignored") == ["deleted"])
    for thing in (kept, registry):
        harness.until(thing, lambda _, thing=thing: not thing.obj["metadata"].get("finalizers"))
    assert field.imported("kept")
    kept.delete()
    harness.until(registry, lambda status: set(status.get("ignored", [])) == {"deleted", "kept"})
    assert field.names() == set()


def held(field, kind, name, finalizer, spec, annotations=None):
    """Create an object with a finalizer as an earlier version made it."""
    metadata = {
        "name": name,
        "namespace": field.harness.namespace,
        "finalizers": [f"lcm.5gdrones.eu/{finalizer}"],
        "annotations": annotations or {},
    }
    thing = kind(
        field.harness.api,
        {"apiVersion": kind.version, "kind": kind.kind, "metadata": metadata, "spec": spec},
    )
    thing.create()
    return thing


def test_a_registry_that_is_gone_is_not_asked_any_more(field: RegistryHarness):
    registry = field.serve()
    field.until_asked_again()
    registry.delete()
    field.harness.wait(lambda: not registry.exists())

    again = field.serve(intervalSeconds=3600)
    field.until_synced(again, "Synced")
    seen = field.registry.asked.count("/trial/")
    other = field.harness.create(
        TrialRegistry, "other", {"url": f"{field.registry.url}/x", "intervalSeconds": 1}
    )
    field.harness.wait(lambda: field.registry.asked.count("/x/trial/") >= 4)

    assert field.registry.asked.count("/trial/") == seen
    other.delete()
