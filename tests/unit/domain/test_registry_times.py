"""Which of two reads of a registry counts, and what may rest on a start time that was read some time ago."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.unit.domain.builders import (
    T,
    armed,
    at,
    engine,
    pod,
    recorded_events,
    settle,
    shown,
    slot,
    steps,
    trial,
)

from lcm_operator.api.storage import rfc3339
from lcm_operator.api.trial import Trial, TrialStatus
from lcm_operator.domain.actions import Decision, RecordEvent, Wait, WriteTrial
from lcm_operator.domain.decide import decide
from lcm_operator.domain.registry_times import read_by_creator
from lcm_operator.domain.snapshot import Observation, RegistryLook, Snapshot
from lcm_operator.domain.start_time import is_near

LATER = at(3 * 3600)
HOUR_AGO = -3600


def noted(time: datetime, read: datetime | str | None, **more: Any) -> Trial:
    """Return a Trial as REST makes it: without a start time of its own, with what the registry said."""
    annotations = {"lcm.5gdrones.eu/registry-start-time": time.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if read is not None:
        said = read if isinstance(read, str) else rfc3339(read)
        annotations["lcm.5gdrones.eu/registry-read-time"] = said
    return trial(startTime=None, registryRef={"name": "default"}, annotations=annotations, **more)


def of_registry(**more: Any) -> Trial:
    return trial(startTime=None, registryRef={"name": "default"}, **more)


def listed(time: datetime, read: datetime) -> dict[str, Any]:
    """Return what the store makes of a list that was read then."""
    return {
        "reported": {"trial-1": Observation(time, read)},
        "looks": {"trial-1": RegistryLook(answered=read)},
    }


def known_at(time: datetime, **more: Any) -> Trial:
    """Return a Trial whose status has a start time."""
    made = of_registry(**more)
    return msgspec.structs.replace(made, status=msgspec.structs.replace(made.status, start_time=time))


def new_status(decision: Decision) -> TrialStatus:
    (status,) = [action.status for action in decision.actions if isinstance(action, WriteTrial)]
    return status


# --- what nobody can compute with


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
def test_a_noted_start_time_that_no_trial_can_have_is_ignored(start):
    annotations = {"lcm.5gdrones.eu/registry-start-time": start}
    made = trial(startTime=None, registryRef={"name": "default"}, annotations=annotations)
    assert read_by_creator(made) is None


@pytest.mark.parametrize("read", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_read_time_out_of_range_counts_as_none(read):
    found = read_by_creator(noted(T, read))
    assert found is not None
    assert found == read_by_creator(noted(T, None))


def test_whether_a_start_is_near_can_be_asked_of_any_time():
    first = datetime.min.replace(tzinfo=UTC)
    assert not is_near(trial(), first, T)


# --- which read counts


@pytest.mark.parametrize(
    ("read", "counts"),
    [
        pytest.param(at(-601), "list", id="the list, read after it"),
        pytest.param(at(-599), "note", id="what REST read later than the list"),
        pytest.param(None, "list", id="the list, if the note does not say when it was read"),
        pytest.param("soon", "list", id="the list, if the note says no time"),
        pytest.param("2026-11-24T09:55:00", "list", id="the list, if the note's time has no offset"),
        pytest.param(at(86400), "list", id="the list, if the note claims to be of the future"),
    ],
)
def test_of_two_reads_of_a_registry_the_later_counts(read, counts):
    made = noted(LATER, read, created=-598 if read == at(-599) else HOUR_AGO)
    before = slot(made, **listed(at(600), at(-600)))

    status = new_status(decide(before, at(-590)))
    assert status.start_time == {"list": at(600), "note": LATER}[counts]


def test_list_older_than_the_one_a_trial_was_made_from_moves_nothing():
    made = noted(LATER, at(-599), created=-598)
    made = msgspec.structs.replace(made, status=msgspec.structs.replace(made.status, start_time=LATER))

    older = decide(slot(made, **listed(T, at(-600))), at(-590))
    newer = decide(slot(made, **listed(T, at(-595))), at(-590))

    assert new_status(older).start_time == LATER
    assert not new_status(older).registry_moves
    assert (new_status(newer).start_time, len(new_status(newer).registry_moves)) == (T, 1)


# --- the gate


def due(**seen: Any) -> Snapshot:
    """Return a slot that was armed for T."""
    made = known_at(T)
    return slot(made, engine=engine(made), **seen)


def wanted(second: float, **more: Any) -> dict[str, Any]:
    return {"looks": {"trial-1": RegistryLook(wanted=at(second), **more)}}


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        pytest.param({}, ["AskRegistry"], id="nobody has asked in this term: ask"),
        pytest.param(listed(T, at(-40)), ["AskRegistry"], id="it was read too long ago: ask again"),
        pytest.param(listed(T, at(-25)), ["CreatePod"], id="it was read lately: start"),
        pytest.param(wanted(0.5), [], id="the registry is being asked: wait"),
        pytest.param(wanted(-5), ["CreatePod"], id="it stays silent: start"),
        pytest.param(
            wanted(0.5, failed=Observation("503", at(0.6))), ["CreatePod"], id="it gives no list: start"
        ),
        pytest.param(
            wanted(-50, failed=Observation("503", at(-50))),
            ["AskRegistry"],
            id="it failed long ago: ask again",
        ),
    ],
)
def test_a_trial_starts_by_a_time_that_was_read_lately(seen, step):
    assert steps(decide(due(**seen), at(1))) == step


def test_a_registry_is_waited_for_no_longer_than_the_start_is_allowed():
    made = known_at(T, startingDeadlineSeconds=0)
    before = slot(made, engine=engine(made), **wanted(0.1))

    waiting = decide(before, at(0.5))

    assert (steps(waiting), waiting.wake_at) == ([], at(0.8))
    assert steps(decide(before, at(0.8))) == ["CreatePod"]


def queued(second: float, **more: Any) -> dict[str, Any]:
    return wanted(second, queued=Observation(63, at(second)), **more)


def test_a_start_waits_for_a_registry_whose_turn_has_not_come():
    made = known_at(T, startingDeadlineSeconds=20)
    before = slot(made, engine=engine(made), **queued(-5))

    assert (steps(decide(before, at(1))), decide(before, at(1)).wake_at) == ([], at(6))
    assert decide(before, at(17)).wake_at == at(19.8)
    assert steps(decide(before, at(19.8))) == ["CreatePod"]


def test_a_registry_has_its_time_from_when_the_request_went_out():
    before = due(**wanted(-5, sent=at(0)))

    assert decide(before, at(1)).wake_at == at(5)
    assert steps(decide(before, at(5))) == ["CreatePod"]


def test_a_registry_that_was_not_asked_in_time_is_not_called_silent():
    decision = decide(due(pod=pod(), **queued(-5)), at(120))
    (explained,) = [a.message for a in decision.actions if isinstance(a, RecordEvent) and a.warning]
    assert explained.endswith("it was not asked in time, as 63 requests to other registries are in progress")


def test_a_miss_waits_only_so_long_for_the_turn_of_its_registry():
    before = slot(known_at(T), **queued(199))

    assert decide(before, at(200)).wake_at == at(224)
    assert shown(decide(before, at(224)), "Succeeded") == ("False", "Missed")


@pytest.mark.parametrize("suspend", [False, True])
def test_a_trial_is_missed_only_by_a_time_that_was_read_lately(suspend):
    made = known_at(T, suspend=suspend)

    assert steps(decide(slot(made), at(200))) == ["AskRegistry"]
    assert isinstance(decide(slot(made, **wanted(199)), at(200)), Wait)
    moved = decide(slot(made, **listed(LATER, at(199))), at(200))
    assert new_status(moved).start_time == LATER
    confirmed = decide(slot(made, **listed(T, at(199))), at(200))
    assert shown(confirmed, "Succeeded") == ("False", "Missed")


def test_a_start_that_the_registry_did_not_confirm_leaves_an_event():
    silent = decide(due(pod=pod(), **wanted(-5, failed=Observation("refused: 503", at(-4)))), at(1))
    confirmed = decide(due(pod=pod(), **listed(T, at(-5))), at(1))

    assert recorded_events(silent) == [("Started", False), ("RegistrySilent", True)]
    assert "refused: 503" in [a.message for a in silent.actions if isinstance(a, RecordEvent)][-1]
    assert recorded_events(confirmed) == [("Started", False)]


def test_a_miss_that_the_registry_did_not_confirm_leaves_an_event():
    missed = decide(slot(known_at(T), **wanted(190)), at(200))
    assert recorded_events(missed) == [("Missed", True), ("RegistrySilent", True)]


def test_a_trial_that_rest_has_just_made_starts_without_another_question():
    made = noted(T, at(1), created=2)
    assert "AskRegistry" not in steps(decide(slot(made), at(3)))


# --- arming


def test_a_registry_is_asked_when_arming_begins_and_again_before_the_start():
    made = known_at(T)
    assert steps(decide(settle(slot(made, **listed(T, at(-100))), at(-70)), at(-60))) == ["AskRegistry"]

    asked = replace(armed(made), **listed(T, at(-59)))
    waiting = decide(settle(asked, at(-50)), at(-50))
    assert (steps(waiting), waiting.wake_at) == ([], at(-20))
    assert steps(decide(asked, at(-20))) == ["AskRegistry"]

    again = replace(asked, **listed(T, at(-20)))
    assert decide(settle(again, at(-19)), at(-19)).wake_at == T


def test_a_silent_registry_holds_arming_up_for_a_moment_only():
    made = known_at(T)
    before = slot(made, **wanted(-60))

    assert decide(settle(before, at(-61)), at(-59)).wake_at == at(-55)
    assert steps(decide(settle(before, at(-61)), at(-55))) == ["CreateEngine"]
