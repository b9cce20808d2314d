"""What the cache makes of plans, of pods, and of slots in which nothing is left."""

import pytest
from tests.unit.controllers.objects import CREATED, KEY, cache, raw_engine, raw_plan, raw_pod, raw_trial
from tests.unit.domain.builders import absent, admitted, engine, nap, pod, refused

from lcm_operator.api.plan import TrialPlan
from lcm_operator.controllers.key import Key
from lcm_operator.domain.snapshot import Absent, Pod, Problem, value_of

# --- plans


def test_a_trial_with_an_inline_plan_uses_no_other():
    known = cache(raw_trial())
    known.put_plan(raw_plan())
    assert known.snapshot(KEY).plan is None


@pytest.mark.parametrize(
    ("spec", "plan"),
    [
        pytest.param({}, "default", id="the plan default, if it names none"),
        pytest.param({"planRef": {"name": "flight"}}, "flight", id="the plan that it names"),
    ],
)
def test_a_trial_uses(spec, plan):
    known = cache(raw_trial(activities=[], **spec))
    missing = known.snapshot(KEY).plan
    assert isinstance(missing, Problem)
    assert (missing.reason, plan in missing.message) == ("PlanNotFound", True)
    assert known.put_plan(raw_plan(plan)) == [KEY]
    used = known.snapshot(KEY).plan
    assert used is not None
    assert not isinstance(used, Problem)
    assert used.metadata.name == plan
    known.drop_plan("lab", plan, plan)
    assert isinstance(known.snapshot(KEY).plan, Problem)


def test_the_late_end_of_a_plan_leaves_the_one_made_since_under_its_name():
    known = cache(raw_trial(activities=[]))
    known.put_plan(raw_plan(uid="plan-1", version=1))
    known.put_plan(raw_plan(uid="plan-2", version=5, activities=[nap("new")]))
    known.drop_plan("lab", "default", "plan-1")
    used = known.snapshot(KEY).plan
    assert isinstance(used, TrialPlan)
    assert used.metadata.uid == "plan-2"
    assert known.plans.known.entry(("lab", "default")).uid == "plan-2"


def test_a_late_word_of_a_plan_that_is_gone_does_not_bring_it_back():
    known = cache(raw_trial(activities=[]))
    known.put_plan(raw_plan(uid="plan-1", version=1))
    known.drop_plan("lab", "default", "plan-1")
    assert known.put_plan(raw_plan(uid="plan-1", version=2)) == []
    assert isinstance(known.snapshot(KEY).plan, Problem)


def test_the_late_end_of_an_engine_leaves_a_stranger_under_its_name():
    known = cache(raw_trial(), engine=raw_engine())
    known.put_engine(raw_engine(uid="foreign", kind="Job", version=5))
    known.drop_engine("lab", "example", "engine-1")
    assert known.snapshot(KEY).stranger
    known.drop_engine("lab", "example", "foreign")
    assert not known.snapshot(KEY).stranger


def test_a_plan_that_can_not_be_parsed_is_a_problem_of_its_trials_only():
    known = cache(raw_trial(activities=[]))
    assert known.put_plan(raw_plan(activities=[{"name": 5}])) == [KEY]
    problem = known.snapshot(KEY).plan
    assert isinstance(problem, Problem)
    assert problem.reason == "PlanMalformed"
    assert "spec.activities[0].name" in problem.message


def test_an_older_word_of_a_plan_does_not_count():
    known = cache(raw_trial(activities=[]))
    known.put_plan(raw_plan(version=9, activities=[{"name": "newer"}]))
    assert known.put_plan(raw_plan(version=8, activities=[{"name": "older"}])) == []
    used = known.snapshot(KEY).plan
    assert used is not None
    assert used.spec.activities[0].name == "newer"


def test_a_plan_of_another_namespace_is_not_used():
    known = cache(raw_trial(activities=[]))
    other = raw_plan()
    other["metadata"]["namespace"] = "field"
    assert known.put_plan(other) == []
    assert isinstance(known.snapshot(KEY).plan, Problem)


# --- pods


def test_the_end_of_the_current_pod_is_seen():
    known = cache(raw_trial(), engine=raw_engine(), pod=pod())
    assert known.put_pod(raw_pod()) == KEY
    seen = known.snapshot(KEY).pod
    assert isinstance(seen.value, Pod)
    assert seen.value.ended


@pytest.mark.parametrize(
    ("known_pod", "uid"),
    [
        pytest.param(None, "pod-1", id="nobody has asked for"),
        pytest.param(absent(), "pod-1", id="was found to be gone"),
        pytest.param(pod(), "pod-0", id="is another of the same name"),
    ],
)
def test_no_word_is_taken_of_a_pod_that(known_pod, uid):
    known = cache(raw_trial(), engine=raw_engine(), pod=known_pod)
    assert known.put_pod(raw_pod(uid=uid)) is None
    assert known.slot(KEY).pod is known_pod


def test_a_pod_that_has_ended_asks_for_a_new_look_at_the_engine():
    known = cache(raw_trial(), engine=raw_engine(), pod=pod())
    known.slot(KEY).engine_read_after_end = True
    known.put_pod(raw_pod())
    assert not known.snapshot(KEY).engine_read_after_end


def test_a_pod_seen_again_as_it_was_asks_for_nothing():
    known = cache(raw_trial(), engine=raw_engine(), pod=pod(ended=True))
    known.slot(KEY).engine_read_after_end = True
    known.put_pod(raw_pod())
    assert known.snapshot(KEY).engine_read_after_end


def test_a_pod_found_to_be_gone_again_asks_for_nothing():
    known = cache(raw_trial(), engine=raw_engine(), pod=absent())
    known.slot(KEY).engine_read_after_end = True
    known.slot(KEY).set_pod(absent())
    assert known.snapshot(KEY).engine_read_after_end
    known.slot(KEY).set_pod(absent("example-2"))
    assert not known.snapshot(KEY).engine_read_after_end


@pytest.mark.parametrize(
    ("known_pod", "uid", "doubted"),
    [
        pytest.param(pod(), "pod-1", True, id="seems to run: yes"),
        pytest.param(pod(), "pod-0", False, id="is another: no"),
        pytest.param(pod(ended=True), "pod-1", False, id="has ended: no"),
        pytest.param(None, "pod-1", False, id="is not known anyway: no"),
    ],
)
def test_a_pod_is_doubted_that(known_pod, uid, doubted):
    granted = {"name": "example-1", "uid": "pod-1", "notBefore": "2026-11-24T10:00:00Z"}
    known = cache(raw_trial(), engine=raw_engine(podRef=granted), pod=known_pod)
    assert known.doubt_pod(KEY, uid) is doubted
    assert (known.snapshot(KEY).pod is None) is (doubted or known_pod is None)


def test_a_pod_of_a_slot_that_is_not_known_is_not_doubted():
    assert not cache().doubt_pod(KEY, "pod-1")


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"attempt": 2}, id="the attempt is another"),
        pytest.param(
            {"attempt": 1, "podRef": {"name": "example-1", "uid": "other", "notBefore": CREATED}},
            id="the grant is another pod's",
        ),
    ],
)
def test_what_is_known_of_a_pod_does_not_count_once(status):
    known = cache(raw_trial(), engine=raw_engine(), pod=pod(ended=True))
    assert known.snapshot(KEY).pod is not None
    known.put_engine(raw_engine(version=2, **status))
    assert known.snapshot(KEY).pod is None


def test_a_new_term_drops_what_earlier_terms_observed():
    known = cache(raw_trial(), engine=raw_engine(), pod=pod())
    slot = known.slot(KEY)
    slot.admission, slot.refusal, slot.engine_gone = admitted(engine()), refused(0), True
    known.begin_term()
    seen = known.snapshot(KEY)
    assert (seen.pod, seen.admission, seen.refusal, seen.engine_gone) == (None, None, None, False)
    assert seen.engine is not None


def test_the_end_of_a_pod_of_a_slot_that_is_not_known_is_no_news():
    assert cache().put_pod(raw_pod()) is None


GRANT = {"name": "example-1", "uid": "pod-1", "notBefore": "2026-11-24T10:00:00Z"}


def test_the_end_of_a_granted_pod_is_seen_by_a_standby_that_knew_no_pod():
    known = cache(raw_trial(), engine=raw_engine(podRef=GRANT))
    assert known.put_pod(raw_pod()) == KEY
    seen = value_of(known.snapshot(KEY).pod)
    assert isinstance(seen, Pod)
    assert seen.ended


def test_an_end_that_comes_between_doubt_and_look_up_is_seen():
    known = cache(raw_trial(), engine=raw_engine(podRef=GRANT), pod=pod())
    assert known.doubt_pod(KEY, "pod-1")
    known.put_pod(raw_pod())
    known.slot(KEY).set_pod(absent())
    gone = value_of(known.snapshot(KEY).pod)
    assert isinstance(gone, Absent)
    assert gone.last is not None
    assert gone.last.ended


def test_an_end_that_was_seen_stays_seen_in_the_next_term():
    known = cache(raw_trial(), engine=raw_engine(podRef=GRANT))
    known.put_pod(raw_pod())
    known.begin_term()
    assert known.snapshot(KEY).pod is None
    known.slot(KEY).set_pod(absent())
    gone = value_of(known.snapshot(KEY).pod)
    assert isinstance(gone, Absent)
    assert gone.last is not None
    assert gone.last.ended


def test_the_end_of_another_pod_says_nothing_of_one_that_is_gone():
    known = cache(raw_trial(), engine=raw_engine(podRef=GRANT | {"uid": "pod-2"}))
    known.slot(KEY).set_pod(pod(ended=True))
    known.slot(KEY).set_pod(absent())
    gone = value_of(known.snapshot(KEY).pod)
    assert gone == Absent("example-1")


# --- slots


def test_a_trial_and_an_engine_are_found_by_name():
    known = cache(raw_trial("other", trialID="example"), engine=raw_engine())
    found, made = known.trial("lab", "other"), known.engine(KEY)
    assert found is not None
    assert made is not None
    assert (found.metadata.name, made.metadata.uid) == ("other", "engine-1")
    assert known.trial("lab", "example") is None
    assert known.engine(Key("lab", "other")) is None


def test_a_slot_is_forgotten_once_nothing_is_left_in_it():
    known = cache(raw_trial(), engine=raw_engine())
    assert not known.forget_if_empty(KEY)
    known.drop_trial("lab", "example", "trial-1")
    assert not known.forget_if_empty(KEY)
    known.drop_engine("lab", "example", "engine-1")
    assert known.forget_if_empty(KEY)
    assert known.all_keys() == []


def test_a_slot_with_a_stranger_is_kept():
    known = cache(engine=raw_engine(owner=""))
    assert not known.forget_if_empty(KEY)


def test_a_slot_that_nobody_knows_is_empty():
    assert cache().snapshot(KEY).trials == ()
    assert cache().forget_if_empty(KEY)


def test_all_that_is_known_is_listed_with_its_uid():
    known = cache(raw_trial(), engine=raw_engine())
    assert known.known_trials.entry(("lab", "example")).uid == "trial-1"
    assert known.known_engines.entry(("lab", "example")).uid == "engine-1"
    assert known.all_keys() == [KEY]
