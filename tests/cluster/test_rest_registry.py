"""A trial that REST schedules by the registry: what was read last counts, whoever read it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from tests.cluster.operator_harness import TrialPlan, in_seconds, nap
from tests.cluster.registry_harness import RegistryHarness
from tests.cluster.rest_harness import Sidecar, sidecar


@pytest.fixture
def rest(field: RegistryHarness, tmp_path: Path) -> Iterator[Sidecar]:
    """The sidecar of the field's namespace."""
    field.harness.create(TrialPlan, "default", {"activities": [nap()]})
    with sidecar(field.harness.cluster, field.harness.namespace, tmp_path) as running:
        yield running


def test_a_list_that_is_older_than_what_rest_has_read_moves_nothing(field: RegistryHarness, rest: Sidecar):
    near, later = in_seconds(12), in_seconds(3 * 3600)
    field.serve_times(survey=near)
    registry = field.serve(intervalSeconds=3600)
    field.until_synced(registry, "Synced")
    field.serve_times(survey=later)

    assert rest.call("POST", "/debug/trial/survey/schedule").status == 200

    (trial,) = field.harness.trials()
    field.until_start(trial, later)
    first_look = in_seconds(0)
    field.harness.wait(lambda: datetime.fromisoformat(in_seconds(-2)) > datetime.fromisoformat(near))
    assert datetime.fromisoformat(first_look) < datetime.fromisoformat(near)
    trial.reload()
    assert "startedTime" not in trial.obj["status"]
    assert "registryMoves" not in trial.obj["status"]


def test_a_late_start_asks_the_registry_first(field: RegistryHarness):
    """The operator was away when the trial was due, and the registry has moved it meanwhile."""
    begun, later = in_seconds(8), in_seconds(3 * 3600)
    field.serve_times(survey=begun)
    field.serve(intervalSeconds=3600)
    trial = field.trial("survey", startingDeadlineSeconds=600)
    field.until_start(trial, begun)
    field.harness.cluster.stop("operator")
    field.serve_times(survey=later)
    field.harness.wait(lambda: datetime.fromisoformat(in_seconds(-1)) > datetime.fromisoformat(begun))

    field.harness.cluster.start("operator")

    field.until_start(trial, later)
    assert "startedTime" not in trial.obj["status"]
    assert not field.harness.pods_created()


def test_a_late_start_does_not_wait_for_ever_for_a_registry_that_is_away(field: RegistryHarness):
    begun = in_seconds(8)
    field.serve_times(survey=begun)
    field.serve(intervalSeconds=3600)
    trial = field.trial("survey", startingDeadlineSeconds=600)
    field.until_start(trial, begun)
    field.harness.cluster.stop("operator")
    field.registry.delay = 300
    field.harness.wait(lambda: datetime.fromisoformat(in_seconds(-1)) > datetime.fromisoformat(begun))

    field.harness.cluster.start("operator")

    field.harness.until_condition(trial, "Started", "True", "EngineStarted")
    field.harness.wait(lambda: field.harness.events("RegistrySilent"))


def test_a_trial_is_missed_only_after_the_registry_was_asked(field: RegistryHarness):
    begun, later = in_seconds(6), in_seconds(3 * 3600)
    field.serve_times(survey=begun)
    field.serve(intervalSeconds=3600)
    trial = field.trial("survey", startingDeadlineSeconds=1)
    field.until_start(trial, begun)
    field.harness.cluster.stop("operator")
    field.serve_times(survey=later)
    field.harness.wait(lambda: datetime.fromisoformat(in_seconds(-3)) > datetime.fromisoformat(begun))

    field.harness.cluster.start("operator")

    field.until_start(trial, later)
    assert "missed" not in trial.obj["status"]
