"""Stalled and Reconciling: what kstatus is shown of a trial, its engine and a registry."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed
from tests.unit.domain.builders import (
    T,
    armed,
    asking,
    at,
    edited,
    ended,
    engine,
    pod,
    refused,
    running,
    scheduled,
    settle,
    slot,
    trial,
    written,
)

from lcm_operator.api.conditions import Condition, Conditions
from lcm_operator.domain.decide import decide
from lcm_operator.domain.obstacle import registry_obstacle, stalls_at, with_obstacle

AHEAD = at(-3000)
REFUSED = {"template": {"spec": {"hostNetwork": True}}}
OLD, YOUNG = trial(name="old", trialID="a", uid="1"), trial(name="young", trialID="a", uid="2")


def shown(conditions: Conditions) -> list[tuple[str, str]]:
    return [(each.type, each.reason) for each in conditions if each.type in ("Stalled", "Reconciling")]


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(slot(scheduled()), id="scheduled"),
        pytest.param(armed(), id="armed"),
        pytest.param(running(), id="running"),
        pytest.param(ended(one="Succeeded", two="Succeeded", three="Succeeded"), id="succeeded"),
        pytest.param(settle(slot(trial(suspend=True)), AHEAD), id="suspended"),
        pytest.param(
            settle(slot(trial(suspend=True, engine=REFUSED)), AHEAD),
            id="suspended, not ready",
        ),
        pytest.param(settle(asking(slot(scheduled()), delete="now"), AHEAD), id="cancelled"),
    ],
)
def test_a_trial_in_order_has_neither_condition(snapshot):
    assert shown(snapshot.trials[0].status.conditions) == []
    assert snapshot.engine is None or shown(snapshot.engine.status.conditions) == []


def test_what_is_missing_stalls_a_trial_only_after_ten_seconds():
    recent = settle(slot(trial(engine=REFUSED)), AHEAD)
    waits = decide(recent, AHEAD)
    lasting = settle(recent, waits.wake_at)

    assert shown(recent.trials[0].status.conditions) == [("Reconciling", "TemplateRefused")]
    assert waits.wake_at == at(-2990)
    assert shown(lasting.trials[0].status.conditions) == [("Stalled", "TemplateRefused")]
    assert decide(lasting, waits.wake_at).wake_at == at(-60)


@pytest.mark.parametrize("wait", [True, False])
def test_a_stalled_trial_is_in_order_once_nothing_is_missing(wait):
    before = settle(slot(trial(engine=REFUSED)), AHEAD)
    before = settle(before, at(-2990)) if wait else before
    repaired = edited(before.trials[0], engine={})

    assert shown(settle(replace(before, trials=(repaired,)), at(-2900)).trials[0].status.conditions) == []


def test_a_trial_that_was_missed_is_stalled_until_it_has_a_new_start_time():
    missed = settle(slot(scheduled()), at(500))
    again = edited(missed.trials[0], startTime="2026-11-24T12:00:00Z")

    assert shown(missed.trials[0].status.conditions) == [("Stalled", "Missed")]
    assert shown(settle(slot(again), at(600)).trials[0].status.conditions) == []


def test_a_failed_trial_and_its_engine_are_stalled_until_they_are_restored():
    failed = ended(one="Failed")
    assert failed.engine is not None
    assert shown(failed.trials[0].status.conditions) == [("Stalled", "ActivityFailed")]
    assert shown(failed.engine.status.conditions) == [("Stalled", "ActivityFailed")]

    asked = asking(failed, restore="now")
    restored = settle(replace(written(asked, decide(asked, at(100))), pod=None), at(100))
    assert restored.engine is not None
    assert shown(restored.trials[0].status.conditions) == []
    assert shown(restored.engine.status.conditions) == []


def test_a_duplicate_is_stalled_immediately():
    found = settle(slot(OLD, YOUNG), AHEAD)
    assert [shown(each.status.conditions) for each in found.trials] == [[], [("Stalled", "DuplicateTrialID")]]


def test_a_start_that_the_api_server_does_not_answer_stalls_nothing():
    away = replace(refused(1).value, reason="APIUnavailable")
    found = settle(slot(scheduled(), engine=engine(), refusal=replace(refused(1), value=away)), at(1))
    assert found.trials[0].status.ready == "False"
    assert shown(found.trials[0].status.conditions) == []


def test_every_condition_of_an_engine_carries_its_generation():
    before = ended(one="Failed")
    assert before.engine is not None
    newer = changed(before.engine, metadata=changed(before.engine.metadata, generation=7))
    restored = settle(asking(replace(before, engine=newer, pod=pod(2)), restore="now"), at(100))
    assert restored.engine is not None
    assert {each.observed_generation for each in restored.engine.status.conditions} == {7}


def test_a_deleted_trial_that_is_kept_by_others_shows_its_last_generation():
    missed = settle(slot(scheduled()), at(500)).trials[0]
    metadata = changed(missed.metadata, generation=9, deletion_timestamp=at(600), finalizers=("others/own",))
    kept = settle(slot(changed(missed, metadata=metadata)), at(600)).trials[0]
    assert {each.observed_generation for each in kept.status.conditions} == {9}


def registry(kind: str, status: str, reason: str) -> Conditions:
    shown: Condition = Condition(type=kind, status=status, reason=reason, message="", last_transition_time=T)
    return (shown,)


@pytest.mark.parametrize(
    ("conditions", "seconds", "kind"),
    [
        (registry("Synced", "True", "Synced"), 60, None),
        (registry("Synced", "False", "RegistryUnreachable"), 1, "Reconciling"),
        (registry("Synced", "False", "RegistryUnreachable"), 60, "Stalled"),
        (registry("Synced", "False", "Suspended"), 60, None),
        (registry("Imported", "False", "ImportLimitReached"), 60, None),
        (registry("Imported", "False", "ImportFailed"), 0, "Stalled"),
    ],
)
def test_registry_is_stalled_by_a_lasting_error_only(conditions, seconds, kind):
    found = with_obstacle(conditions, registry_obstacle(conditions), at(seconds), 3)
    assert [each for each, _ in shown(found)] == ([kind] if kind else [])
    assert {each.observed_generation for each in found} == {3}


def test_nothing_stalls_where_nothing_is_recent():
    assert stalls_at((), T) == T
    assert stalls_at((), None) is None
