"""decide() from a Trial's first sight to the latch."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from tests.unit.domain.builders import (
    REFUSED,
    T,
    admitted,
    armed,
    at,
    deleting,
    edited,
    engine,
    pod,
    recorded_events,
    refused,
    scheduled,
    settle,
    shown,
    slot,
    steps,
    trial,
    written,
)

from lcm_operator.api import conditions
from lcm_operator.api.storage import rfc3339
from lcm_operator.domain.actions import (
    CheckAdmission,
    CreateEngine,
    CreatePod,
    DeleteEngine,
    LatchTrial,
    Urgency,
    Wait,
    WriteTrial,
)
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Problem, RegistryLook, Settings

NO_PLAN = Problem("PlanNotFound", "TrialPlan default does not exist")


# --- scheduling


def test_new_trial_is_accepted_and_scheduled_and_that_is_reported():
    decision = decide(slot(trial()), at(-3000))
    assert steps(decision) == ["WriteTrial", "RecordEvent"]
    assert shown(decision, "Accepted") == ("True", "Accepted")
    assert shown(decision, "Scheduled") == ("True", "StartTimeKnown")
    assert [shown(decision, kind)[0] for kind in ("Armed", "Started", "Succeeded")] == ["Unknown"] * 3
    assert recorded_events(decision) == [("Scheduled", False)]


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


def test_a_start_time_told_by_the_registry_counts():
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


# --- arming


def test_within_its_lead_a_trial_gets_its_engine():
    (action,) = decide(slot(scheduled()), at(-60)).actions
    assert isinstance(action, CreateEngine)
    assert action.manifest["metadata"]["name"] == "example"


def test_a_new_engine_is_checked_for_admission():
    made = engine()
    (action,) = decide(slot(scheduled(), engine=made), at(-50)).actions
    assert isinstance(action, CheckAdmission)
    assert action.engine is made
    assert action.manifest["metadata"]["name"] == "example-1"


def test_what_was_said_of_an_earlier_engine_does_not_count():
    made = engine(uid="engine-2")
    (action,) = decide(slot(scheduled(), engine=made, admission=admitted(engine())), at(-50)).actions
    assert isinstance(action, CheckAdmission)


def test_an_admitted_trial_is_armed_and_said_to_be():
    made = engine()
    decision = decide(slot(scheduled(), engine=made, admission=admitted(made)), at(-40))
    assert shown(decision, "Armed") == ("True", "Admitted")
    assert recorded_events(decision) == [("Armed", False)]


def test_an_armed_trial_waits_for_its_start_time_with_the_highest_urgency():
    decision = decide(armed(), at(-30))
    assert isinstance(decision, Wait)
    assert (decision.wake_at, decision.wake_urgency) == (T, Urgency.START)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param({"plan": NO_PLAN}, "PlanNotFound", id="its plan does not exist"),
        pytest.param({"stranger": True}, "NameTaken", id="its engine's name is taken"),
        pytest.param({"refusal": refused(-35)}, "AdmissionRefused", id="its engine was refused just now"),
        pytest.param(
            {"engine": engine(), "admission": admitted(engine(), REFUSED, checked=-35)},
            "AdmissionRefused",
            id="its pod would be refused",
        ),
    ],
)
def test_trial_that_cannot_be_armed_reports_why_and_is_tried_again_when(seen, reason):
    before = slot(scheduled(), **seen)
    decision = decide(before, at(-30))
    assert shown(decision, "Armed") == ("False", reason)
    assert recorded_events(decision) == [(reason, True)]
    after = decide(written(before, decision), at(-30))
    assert isinstance(after, Wait)
    assert after.wake_at == at(-20)


def test_arming_is_tried_again_at_the_start_time_at_the_latest():
    before = settle(slot(scheduled(), stranger=True), at(-3))
    decision = decide(before, at(-3))
    assert (decision.wake_at, decision.wake_urgency) == (T, Urgency.START)


def test_a_create_that_was_refused_some_time_ago_is_tried_again():
    assert steps(decide(slot(scheduled(), refusal=refused(-45)), at(-35))) == ["CreateEngine"]


def test_a_pod_that_would_have_been_refused_some_time_ago_is_checked_again():
    made = engine()
    before = slot(scheduled(), engine=made, admission=admitted(made, REFUSED, checked=-45))
    assert steps(decide(before, at(-35))) == ["CheckAdmission"]


def test_an_admitted_pod_is_not_checked_again():
    assert steps(decide(armed(), at(-1))) == []


def test_a_trial_that_can_be_armed_at_last_shows_it():
    made = engine()
    before = settle(slot(scheduled(), engine=made, admission=admitted(made, REFUSED)), at(-39))
    decision = decide(replace(before, admission=admitted(made)), at(-25))
    assert shown(decision, "Armed") == ("True", "Admitted")
    assert recorded_events(decision) == [("Armed", False)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"startTime": rfc3339(at(600))}, id="start time"),
        pytest.param({"parameters": {"slice": "true"}}, id="parameters"),
    ],
)
def test_an_armed_trial_whose_spec_changes_gives_up_its_engine(change):
    before = armed()
    changed = replace(before, trials=(edited(before.trials[0], **change),))
    assert "DeleteEngine" in steps(decide(changed, at(-30)))


def test_trial_with_a_changed_spec_gets_a_new_engine_after_the_old_one():
    before = armed()
    after = replace(before, trials=(edited(before.trials[0], parameters={"slice": "true"}),), engine=None)
    assert steps(decide(after, at(-30))) == ["CreateEngine"]


# --- starting


def test_a_trial_that_is_due_and_armed_has_its_pod_created_at_once():
    before = armed()
    decision = decide(before, T)
    (action,) = decision.actions
    assert isinstance(action, CreatePod)
    assert action.engine is before.engine
    assert action.manifest["metadata"]["name"] == "example-1"
    assert decision.urgency is Urgency.START


def test_a_trial_that_is_due_without_an_engine_gets_it_at_once():
    decision = decide(slot(trial()), at(5))
    assert steps(decision) == ["CreateEngine"]
    assert decision.urgency is Urgency.START


def test_a_trial_that_is_due_is_not_checked_for_admission_first():
    assert steps(decide(slot(scheduled(), engine=engine()), T)) == ["CreatePod"]


def test_a_created_pod_is_latched_and_the_start_is_told_after_it():
    before = replace(armed(), pod=pod())
    decision = decide(before, at(0.2))
    (latch, _) = decision.actions
    assert isinstance(latch, LatchTrial)
    assert latch.trial is before.trials[0]
    assert latch.status.started_time == at(0.2)
    assert latch.status.engine_ref is not None
    assert (latch.status.engine_ref.name, latch.status.engine_ref.uid) == ("example", "engine-1")
    assert latch.status.start_lag_milliseconds == 200
    assert latch.status.progress == "0/3"
    assert shown(decision, "Started") == ("True", "EngineStarted")
    assert recorded_events(decision) == [("Started", False)]
    assert decision.urgency is Urgency.FOLLOW


def test_a_pod_that_was_adopted_is_never_shown_as_early():
    early = replace(armed(), pod=pod(created=at(-0.7)))
    (latch, _) = decide(early, at(3)).actions
    assert isinstance(latch, LatchTrial)
    assert latch.status.start_lag_milliseconds == 0


@pytest.mark.parametrize(
    ("seen", "reason", "again"),
    [
        pytest.param({"plan": NO_PLAN}, "PlanNotFound", at(15), id="its plan does not exist"),
        pytest.param({"stranger": True}, "NameTaken", at(15), id="its engine's name is taken"),
        pytest.param(
            {"refusal": refused(4.5)}, "AdmissionRefused", at(5.625), id="its engine was refused just now"
        ),
        pytest.param(
            {"engine": engine(), "refusal": refused(4.5)},
            "AdmissionRefused",
            at(5.625),
            id="its pod was refused just now",
        ),
    ],
)
def test_trial_that_is_due_and_cannot_start_shows_why_and_tries_again(seen, reason, again):
    before = slot(scheduled(), **seen)
    decision = decide(before, at(5))
    assert shown(decision, "Armed") == ("False", reason)
    assert recorded_events(decision) == [(reason, True)]
    after = decide(written(before, decision), at(5))
    assert isinstance(after, Wait)
    assert (after.wake_at, after.wake_urgency) == (again, Urgency.RETRY)


def test_a_pod_that_was_refused_is_tried_again_after_a_second():
    before = settle(slot(scheduled(), engine=engine(), refusal=refused(4)), at(4))
    assert steps(decide(before, at(5))) == ["CreatePod"]


def test_refusal_is_shown_before_the_next_try_however_late_its_turn():
    before = slot(scheduled(), engine=engine(), refusal=refused(4))
    decision = decide(before, at(30))
    assert shown(decision, "Armed") == ("False", "AdmissionRefused")
    assert decision.urgency is Urgency.RETRY
    after = decide(written(before, decision), at(30))
    assert (steps(after), after.urgency) == (["CreatePod"], Urgency.RETRY)


def test_last_try_before_the_deadline_waits_for_nothing():
    before = slot(scheduled(), engine=engine(), refusal=refused(4))
    assert steps(decide(before, at(119.5))) == ["CreatePod"]


def busy(at_second, seconds):
    """Return a create that was to be tried again after so many seconds."""
    return refused(at_second, replace(REFUSED, retry_after=timedelta(seconds=seconds)))


def test_a_start_is_not_tried_again_before_the_api_server_wants_it():
    before = settle(slot(scheduled(), engine=engine(), refusal=busy(4, 20)), at(4))
    assert decide(before, at(23)).wake_at == at(24)
    assert steps(decide(before, at(24))) == ["CreatePod"]


def test_start_is_retried_before_its_deadline_whatever_retry_after_demands():
    short = scheduled(trial(startingDeadlineSeconds=15))
    before = settle(slot(short, engine=engine(short), refusal=busy(4, 20)), at(4))
    again = decide(before, at(4)).wake_at
    assert again is not None
    assert at(14) < again < at(15)
    assert steps(decide(before, again)) == ["CreatePod"]


def test_arming_is_not_tried_again_before_the_api_server_wants_it():
    before = settle(slot(scheduled(), refusal=busy(-50, 25)), at(-50))
    assert isinstance(decide(before, at(-26)), Wait)
    assert steps(decide(before, at(-25))) == ["CreateEngine"]


def test_a_start_is_tried_for_the_last_time_right_after_its_deadline():
    before = settle(slot(scheduled(), stranger=True), at(119.5))
    decision = decide(before, at(119.5))
    assert decision.wake_at is not None
    assert at(120) < decision.wake_at < at(120.1)


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
    assert conditions.reason(settle(slot(later), at(300)).trials[0].status.conditions, "Armed") == "Waiting"


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
