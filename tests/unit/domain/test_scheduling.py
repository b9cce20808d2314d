"""decide() from a Trial's first sight to the latch."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from tests.unit.domain.builders import (
    T,
    armed,
    at,
    deleting,
    edited,
    engine,
    recorded_events,
    refused,
    scheduled,
    settle,
    shown,
    slot,
    steps,
    trial,
)

from lcm_operator.api import conditions
from lcm_operator.api.storage import rfc3339
from lcm_operator.domain.actions import (
    DeleteEngine,
    RecordEvent,
    Wait,
    WriteTrial,
)
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import RegistryLook, Settings

# --- scheduling


def test_new_trial_is_accepted_and_scheduled_and_that_is_reported():
    decision = decide(slot(trial()), at(-3000))
    assert steps(decision) == ["WriteTrial", "RecordEvent"]
    assert shown(decision, "Accepted") == ("True", "Accepted")
    assert shown(decision, "Scheduled") == ("True", "StartTimeKnown")
    assert [shown(decision, kind)[0] for kind in ("Armed", "Started", "Succeeded")] == ["Unknown"] * 3
    assert recorded_events(decision) == [("Scheduled", False)]


@pytest.mark.parametrize(
    ("seconds", "ahead"),
    [
        pytest.param(95.4, ", in 1 min 35 s", id="seconds"),
        pytest.param(600, ", in 10 min 0 s", id="minutes"),
        pytest.param(2 * 3600 + 300, ", in 2 h 5 min", id="a wrong offset"),
        pytest.param(3 * 86400 + 3600, ", in 3 d 1 h", id="days"),
    ],
)
def test_the_event_of_scheduling_says_how_far_ahead_the_start_is(seconds, ahead):
    decision = decide(slot(trial()), at(-seconds))
    (event,) = [each for each in decision.actions if isinstance(each, RecordEvent)]
    assert event.message == f"starts at 2026-11-24T10:00:00Z{ahead}"


def test_the_start_time_is_shown_in_utc():
    (action, _) = decide(slot(trial(startTime="2026-11-24T12:00:00+02:00")), at(-3000)).actions
    assert isinstance(action, WriteTrial)
    assert action.status.start_time == T
    assert action.status.start_time.utcoffset() == timedelta(0)


def test_a_trial_whose_start_time_lies_ahead_waits_until_its_lead():
    decision = decide(slot(scheduled()), at(-3000))
    assert isinstance(decision, Wait)
    assert decision.wake_at == at(-60)


def test_the_lead_is_a_setting():
    early = Settings(arm_lead=timedelta(seconds=300))
    assert decide(slot(scheduled(), settings=early), at(-3000)).wake_at == at(-300)


def test_a_rescheduled_trial_shows_its_new_start_time_and_says_so():
    later = edited(scheduled(), startTime=rfc3339(at(600)))
    decision = decide(slot(later), at(-3000))
    (action, _) = decision.actions
    assert isinstance(action, WriteTrial)
    assert action.status.start_time == at(600)
    assert recorded_events(decision) == [("Scheduled", False)]


def test_an_edit_that_leaves_the_start_time_as_it_is_causes_no_second_event():
    decision = decide(slot(edited(scheduled(), ttlSecondsAfterFinished=5)), at(-3000))
    assert steps(decision) == ["WriteTrial"]


def test_a_trial_that_waits_for_a_registry_says_so_and_waits_for_a_change():
    waiting = trial(startTime=None, registryRef={"name": "default"})
    decision = decide(slot(waiting), at(-3000))
    assert shown(decision, "Scheduled") == ("False", "AwaitingRegistry")
    after = settle(slot(waiting), at(-3000))
    assert steps(decide(after, at(-3000))) == ["AskRegistry"]
    asked = replace(after, looks={"trial-1": RegistryLook(wanted=at(-3000))})
    after = decide(asked, at(-3000))
    assert isinstance(after, Wait)
    assert after.wake_at is None


def test_a_start_time_reported_by_the_registry_counts():
    waiting = settle(slot(trial(startTime=None, registryRef={"name": "default"})), at(-3000)).trials[0]
    status = msgspec.structs.replace(waiting.status, start_time=T)
    decision = decide(slot(msgspec.structs.replace(waiting, status=status)), at(-3000))
    assert shown(decision, "Scheduled") == ("True", "StartTimeKnown")


@pytest.mark.parametrize("written", ["soon", "2031-01-01T08:00:00", "9999-12-31T23:59:59-12:00"])
def test_unparsable_registry_time_is_ignored(written: str):
    annotations = {"lcm.5gdrones.eu/registry-start-time": written}
    waiting = trial(startTime=None, registryRef={"name": "default"}, annotations=annotations)
    assert shown(decide(slot(waiting), at(-3000)), "Scheduled") == ("False", "AwaitingRegistry")


def test_armed_trial_with_another_reported_time_gives_up_its_engine():
    waiting = trial(startTime=None, registryRef={"name": "default"})
    known = msgspec.structs.replace(waiting, status=msgspec.structs.replace(waiting.status, start_time=T))
    before = armed(known)
    status = msgspec.structs.replace(before.trials[0].status, start_time=at(20))
    moved = msgspec.structs.replace(before.trials[0], status=status)
    assert steps(decide(replace(before, trials=(moved,)), at(-30))) == ["DeleteEngine"]


# --- suspending


def test_a_suspended_trial_says_so_and_waits_until_its_deadline():
    decision = decide(slot(trial(suspend=True)), at(-3000))
    assert shown(decision, "Scheduled") == ("False", "Suspended")
    after = decide(settle(slot(trial(suspend=True)), at(-3000)), at(-3000))
    assert isinstance(after, Wait)
    assert after.wake_at is not None
    assert at(120) < after.wake_at < at(121)


@pytest.mark.parametrize("now", [pytest.param(-30, id="before"), pytest.param(30, id="after")])
def test_armed_trial_suspended_around_its_start_time_gives_up_its_engine(now):
    before = armed()
    asked = settle(replace(before, trials=(edited(before.trials[0], suspend=True),)), at(now))
    assert asked.engine is not None
    assert decide(asked, at(now)).actions == (DeleteEngine(asked.engine),)


def test_a_trial_suspended_past_its_deadline_is_missed():
    decision = decide(slot(trial(suspend=True)), at(121))
    assert shown(decision, "Succeeded") == ("False", "Missed")
    (action, _) = decision.actions
    assert isinstance(action, WriteTrial)
    assert "suspended" in action.status.missed[0].message


def test_a_resumed_trial_is_scheduled_again():
    resumed = edited(settle(slot(trial(suspend=True)), at(-3000)).trials[0], suspend=False)
    assert shown(decide(slot(resumed), at(-3000)), "Scheduled") == ("True", "StartTimeKnown")


# --- late and missed


@pytest.mark.parametrize(
    ("deadline", "late", "starts"),
    [
        pytest.param(120, 120, True, id="at its deadline: started"),
        pytest.param(120, 120.001, False, id="past its deadline: missed"),
        pytest.param(0, 1, True, id="without a deadline, one second late: started"),
        pytest.param(0, 1.001, False, id="without a deadline, more than a second late: missed"),
        pytest.param(3600, 3599, True, id="within a long deadline: started"),
    ],
)
def test_a_trial_that_is_late(deadline, late, starts):
    decision = decide(slot(trial(startingDeadlineSeconds=deadline)), at(late))
    assert steps(decision) == (["CreateEngine"] if starts else ["WriteTrial", "RecordEvent"])


def test_a_missed_trial_says_how_late_it_would_have_been():
    decision = decide(slot(trial()), at(300.25))
    (action, _) = decision.actions
    assert isinstance(action, WriteTrial)
    (miss,) = action.status.missed
    assert (miss.start_time, miss.missed_time, miss.late_milliseconds) == (T, at(300.25), 300_250)
    assert "300.250 s late" in miss.message
    assert shown(decision, "Succeeded") == ("False", "Missed")
    assert shown(decision, "Started") == ("False", "Missed")
    assert recorded_events(decision) == [("Missed", True)]


def test_trial_refused_until_its_deadline_is_missed_with_that_reason():
    made = engine()
    decision = decide(slot(scheduled(), engine=made, refusal=refused(119.9)), at(120.5))
    (action, _) = decision.actions
    assert isinstance(action, WriteTrial)
    (miss,) = action.status.missed
    assert miss.reason == "AdmissionRefused"
    assert "exceeded quota" in miss.message


def test_a_missed_trial_gives_up_its_engine():
    missed = settle(slot(scheduled(), engine=engine()), at(121))
    assert steps(decide(missed, at(121))) == ["DeleteEngine"]


def test_a_missed_trial_without_engine_rests():
    missed = settle(slot(trial()), at(121))
    decision = decide(missed, at(121))
    assert isinstance(decision, Wait)
    assert decision.wake_at is None


def test_a_missed_trial_given_a_new_start_time_is_scheduled_again():
    missed = settle(slot(trial()), at(121)).trials[0]
    later = edited(missed, startTime=rfc3339(at(600)))
    decision = decide(slot(later), at(300))
    assert shown(decision, "Succeeded") == ("Unknown", "Waiting")
    assert shown(decision, "Started") == ("Unknown", "Waiting")
    assert conditions.reason(settle(slot(later), at(300)).trials[0].status.conditions, "Armed") == "Checked"


def test_only_the_last_five_misses_are_kept():
    missed = trial()
    for hour in range(7):
        missed = edited(missed, startTime=rfc3339(at(3600 * hour)))
        missed = settle(
            slot(settle(slot(missed), at(3600 * hour - 300)).trials[0]), at(3600 * hour + 300)
        ).trials[0]
    assert [miss.start_time for miss in missed.status.missed] == [at(3600 * hour) for hour in range(2, 7)]


# --- the old engine


def test_a_trial_does_not_start_while_its_old_engine_is_going():
    before = armed()
    assert before.engine is not None
    going = replace(before, engine=deleting(before.engine), pod=None)
    assert "CreatePod" not in steps(decide(going, T))
