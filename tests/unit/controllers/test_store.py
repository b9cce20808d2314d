"""What the operator has seen: newest wins, the dead stay dead, slots."""

import pytest
from tests.unit.domain.builders import T, admitted, engine, pod, refused

from lcm_operator.api import names
from lcm_operator.controllers import store as module
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.store import Store
from lcm_operator.domain.snapshot import Absent, Admission, Pod, Problem, Settings

KEY = Key("lab", "example")
CREATED = "2026-11-24T09:00:00Z"


def raw_trial(name="example", uid="trial-1", version=1, **spec):
    return {
        "metadata": {
            "name": name,
            "namespace": "lab",
            "uid": uid,
            "resourceVersion": str(version),
            "generation": 1,
            "creationTimestamp": CREATED,
        },
        "spec": {"startTime": "2026-11-24T10:00:00Z", "activities": [{"name": "one"}]} | spec,
    }


def raw_engine(uid="engine-1", version=1, owner="trial-1", kind="Trial", name="example", **status):
    owners = [{"kind": kind, "name": "example", "uid": owner, "controller": True}] if owner else []
    return {
        "metadata": {
            "name": name,
            "namespace": "lab",
            "uid": uid,
            "resourceVersion": str(version),
            "ownerReferences": owners,
        },
        "spec": {
            "trialID": "example",
            "trialUID": owner,
            "trialGeneration": 1,
            "startTime": "2026-11-24T10:00:00Z",
        },
        "status": status,
    }


def raw_plan(name="default", version=1, **spec):
    metadata = {"name": name, "namespace": "lab", "uid": name, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": spec}


def raw_pod(phase="Failed", uid="pod-1"):
    return {
        "metadata": {
            "name": "example-1",
            "namespace": "lab",
            "uid": uid,
            "creationTimestamp": CREATED,
            "labels": {names.LABEL_TRIAL: "example"},
        },
        "status": {"phase": phase},
    }


def store(*trials, engine=None, pod=None):
    made = Store(Settings())
    for raw in trials:
        made.put_trial(raw)
    if engine is not None:
        made.put_engine(engine)
    if pod is not None:
        made.slot(KEY).set_pod(pod)
    return made


# --- Trials


def test_a_trial_is_put_into_the_slot_of_its_trial_id():
    known = store()
    assert known.put_trial(raw_trial("other", trialID="Trial 1")) == [Key("lab", "trial-1-bb654d8159")]
    assert known.put_trial(raw_trial()) == [KEY]
    assert [trial.metadata.name for trial in known.snapshot(KEY).trials] == ["example"]


@pytest.mark.parametrize(
    ("version", "taken"),
    [
        pytest.param(10, True, id="newer"),
        pytest.param(9, False, id="the same"),
        pytest.param(8, False, id="older"),
    ],
)
def test_a_trial_is_taken_only_if_its_resource_version_is(version, taken):
    known = store(raw_trial(version=9))
    assert known.put_trial(raw_trial(version=version, suspend=True)) == ([KEY] if taken else [])
    assert known.snapshot(KEY).trials[0].spec.suspend is taken


def test_resource_versions_are_compared_as_numbers():
    known = store(raw_trial(version=99))
    assert known.put_trial(raw_trial(version=100)) == [KEY]


def test_a_trial_that_is_gone_is_forgotten():
    known = store(raw_trial())
    assert known.drop_trial("lab", "example", "trial-1") == KEY
    assert known.snapshot(KEY).trials == ()


def test_a_late_word_of_a_trial_that_is_gone_does_not_bring_it_back():
    known = store(raw_trial())
    known.drop_trial("lab", "example", "trial-1")
    assert known.put_trial(raw_trial(version=50)) == []
    assert known.snapshot(KEY).trials == ()


def test_a_trial_that_is_gone_before_it_was_seen_stays_gone():
    known = store()
    known.drop_trial("lab", "example", "trial-1")
    assert known.put_trial(raw_trial()) == []


def test_the_end_of_an_earlier_trial_of_the_same_name_is_not_the_end_of_this_one():
    known = store(raw_trial(uid="trial-2", version=7))
    assert known.drop_trial("lab", "example", "trial-1") is None
    assert len(known.snapshot(KEY).trials) == 1


def test_a_trial_re_created_under_its_name_replaces_the_old_one():
    known = store(raw_trial(version=5), raw_trial(uid="trial-2", version=6, suspend=True))
    (trial,) = known.snapshot(KEY).trials
    assert trial.metadata.uid == "trial-2"


def test_a_trial_re_created_with_another_trial_id_moves_to_that_slot():
    known = store(raw_trial(version=5))
    other = Key("lab", "other")
    moved = known.put_trial(raw_trial(uid="trial-2", version=6, trialID="other"))
    assert sorted(moved) == [KEY, other]
    assert known.snapshot(KEY).trials == ()
    assert len(known.snapshot(other).trials) == 1


def test_trials_of_one_id_share_a_slot():
    known = store(raw_trial(), raw_trial("second", uid="trial-2", trialID="example"))
    assert [trial.metadata.name for trial in known.snapshot(KEY).trials] == ["example", "second"]


def test_trials_of_one_name_in_two_namespaces_do_not_meet():
    known = store(raw_trial())
    other = raw_trial(uid="trial-2")
    other["metadata"]["namespace"] = "field"
    assert known.put_trial(other) == [Key("field", "example")]
    assert len(known.snapshot(KEY).trials) == 1


@pytest.mark.parametrize(
    ("kind", "bad", "good"),
    [
        pytest.param("Trial", raw_trial(suspend="yes", version=5), raw_trial(version=6), id="Trial"),
        pytest.param(
            "TrialEngine", raw_engine(attempt="two", version=5), raw_engine(version=6), id="TrialEngine"
        ),
    ],
)
def test_what_can_not_be_parsed_is_neither_there_nor_gone_and_told_once(kind, bad, good):
    known = store(raw_trial(), engine=raw_engine())
    put = known.put_trial if kind == "Trial" else known.put_engine
    assert put(bad) == [KEY]
    put(bad)
    assert [complaint[0] for complaint in known.complaints] == [kind]
    assert f"{kind} example" in known.snapshot(KEY).unreadable
    assert put(good) == [KEY]
    assert known.snapshot(KEY).unreadable == ""
    seen = known.snapshot(KEY)
    assert seen.trials
    assert seen.engine is not None


def test_what_can_not_be_parsed_is_forgotten_when_it_is_gone():
    known = store()
    known.put_trial(raw_trial(suspend="yes"))
    assert not known.forget_if_empty(KEY)
    known.drop_trial("lab", "example", "trial-1")
    assert known.forget_if_empty(KEY)


def test_a_refusal_does_not_count_for_a_trial_whose_spec_has_changed():
    known = store(raw_trial())
    known.slot(KEY).refusal = refused(0)
    known.put_trial(raw_trial(version=2))
    assert known.snapshot(KEY).refusal is not None
    changed = raw_trial(version=3)
    changed["metadata"]["generation"] = 2
    known.put_trial(changed)
    assert known.snapshot(KEY).refusal is None


def test_that_an_engine_was_not_there_before_the_latch_says_nothing_after_it():
    known = store(raw_trial())
    known.slot(KEY).engine_gone = True
    latched = raw_trial(version=2) | {"status": {"startedTime": "2026-11-24T10:00:00Z"}}
    known.put_trial(latched)
    assert not known.snapshot(KEY).engine_gone
    known.slot(KEY).engine_gone = True
    latched["metadata"]["resourceVersion"] = "3"
    known.put_trial(latched)
    assert known.snapshot(KEY).engine_gone


def test_what_can_not_be_parsed_stands_in_the_slot_that_its_spec_names():
    known = store()
    other = raw_trial("other", suspend="yes", trialID="example")
    assert known.put_trial(other) == [KEY]
    nameless = raw_trial("nameless", trialID=7)
    assert known.put_trial(nameless) == [Key("lab", "nameless")]
    engine = raw_engine(attempt="two") | {"spec": {"trialID": "Trial 1"}}
    assert known.put_engine(engine) == [KEY]


def test_what_can_not_be_parsed_is_told_again_for_another_reason():
    known = store()
    known.put_trial(raw_trial(suspend="yes"))
    known.put_trial(raw_trial(suspend=False, startTime="tomorrow"))
    assert len(known.complaints) == 2


def test_what_can_not_be_parsed_is_listed_too():
    known = store()
    known.put_trial(raw_trial(suspend="yes"))
    known.put_engine(raw_engine(attempt="two"))
    assert known.trial_identities() == {("lab", "example", "trial-1")}
    assert known.engine_identities() == {("lab", "example", "engine-1")}


def test_of_the_dead_the_oldest_are_forgotten_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED_DEAD", 2)
    known = store()
    for number in (1, 2, 3):
        known.drop_trial("lab", "example", f"trial-{number}")
    assert known.put_trial(raw_trial(uid="trial-3")) == []
    assert known.put_trial(raw_trial(uid="trial-2")) == []
    assert known.put_trial(raw_trial(uid="trial-1")) == [KEY]


# --- TrialEngines


def test_an_engine_is_put_into_the_slot_of_its_name():
    known = store()
    assert known.put_engine(raw_engine()) == [KEY]
    assert known.snapshot(KEY).engine is not None


@pytest.mark.parametrize(
    ("version", "attempt"),
    [pytest.param(10, 2, id="newer: taken"), pytest.param(8, 0, id="older: not taken")],
)
def test_an_engine_that_is(version, attempt):
    known = store(engine=raw_engine(version=9))
    known.put_engine(raw_engine(version=version, attempt=2))
    seen = known.snapshot(KEY).engine
    assert seen is not None
    assert seen.status.attempt == attempt


def test_an_engine_that_is_gone_stays_gone():
    known = store(engine=raw_engine())
    assert known.drop_engine("lab", "example", "engine-1") == KEY
    assert known.put_engine(raw_engine(version=50)) == []
    assert known.snapshot(KEY).engine is None


def test_the_end_of_an_earlier_engine_is_not_the_end_of_this_one():
    known = store(engine=raw_engine(uid="engine-2"))
    known.drop_engine("lab", "example", "engine-1")
    assert known.snapshot(KEY).engine is not None


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(raw_engine(owner=""), id="has no owner"),
        pytest.param(raw_engine(kind="Deployment"), id="has another kind of owner"),
    ],
)
def test_an_engine_under_our_name_is_a_stranger_if_it(stranger):
    known = store(raw_trial(), engine=stranger)
    assert known.snapshot(KEY).stranger
    assert known.snapshot(KEY).engine is None


def test_a_stranger_that_is_gone_is_one_no_longer():
    known = store(raw_trial(), engine=raw_engine(owner=""))
    assert known.drop_engine("lab", "example", "engine-1") == KEY
    assert not known.snapshot(KEY).stranger


def test_what_was_found_out_about_an_engine_does_not_count_for_the_next():
    known = store(raw_trial(), engine=raw_engine(), pod=pod())
    slot = known.slot(KEY)
    slot.admission, slot.refusal, slot.engine_gone = admitted(engine()), refused(0), True
    known.put_engine(raw_engine(uid="engine-2", version=2))
    seen = known.snapshot(KEY)
    assert (seen.pod, seen.admission, seen.refusal, seen.engine_gone) == (None, None, None, False)


def test_what_was_found_out_about_an_engine_survives_its_next_version():
    admission = Admission("engine-1", T)
    known = store(raw_trial(), engine=raw_engine(), pod=pod())
    known.slot(KEY).admission = admission
    known.put_engine(raw_engine(version=2))
    assert known.snapshot(KEY).pod is not None
    assert known.snapshot(KEY).admission is admission


@pytest.mark.parametrize(
    ("owner", "finalizers", "ours"),
    [
        pytest.param("trial-1", [], True, id="a Trial controls it: ours"),
        pytest.param("", [names.FINALIZER_ENGINE], True, id="orphaned, with our finalizer: ours"),
        pytest.param("", [], False, id="of nobody and without our finalizer: a stranger"),
        pytest.param("", ["example.com/hold"], False, id="of nobody, held by somebody else: a stranger"),
    ],
)
def test_an_engine_under_our_name(owner, finalizers, ours):
    raw = raw_engine(owner=owner)
    raw["metadata"]["finalizers"] = finalizers
    known = store(raw_trial(), engine=raw)
    assert (known.snapshot(KEY).engine is not None) is ours
    assert known.snapshot(KEY).stranger is not ours


def test_an_engine_with_our_finalizer_that_something_else_owns_is_a_stranger():
    raw = raw_engine(kind="Deployment")
    raw["metadata"]["finalizers"] = [names.FINALIZER_ENGINE]
    assert store(engine=raw).snapshot(KEY).stranger


def test_an_engine_that_loses_its_owner_stays_the_one_that_it_was():
    known = store(raw_trial(), engine=raw_engine())
    assert known.put_engine(raw_engine(owner="", version=2)) == [KEY]
    seen = known.snapshot(KEY).engine
    assert seen is not None
    assert seen.metadata.controller_uid is None


def test_an_engine_that_comes_after_one_was_missed_is_there():
    known = store(raw_trial())
    known.slot(KEY).engine_gone = True
    known.put_engine(raw_engine())
    assert not known.snapshot(KEY).engine_gone


def test_the_end_of_an_engine_that_nobody_knows_is_no_news():
    assert store().drop_engine("lab", "example", "engine-1") is None


# --- plans


def test_a_trial_with_an_inline_plan_uses_no_other():
    known = store(raw_trial())
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
    known = store(raw_trial(activities=[], **spec))
    missing = known.snapshot(KEY).plan
    assert isinstance(missing, Problem)
    assert (missing.reason, plan in missing.message) == ("PlanNotFound", True)
    assert known.put_plan(raw_plan(plan)) == [KEY]
    used = known.snapshot(KEY).plan
    assert used is not None
    assert not isinstance(used, Problem)
    assert used.metadata.name == plan
    known.drop_plan("lab", plan)
    assert isinstance(known.snapshot(KEY).plan, Problem)


def test_a_plan_that_can_not_be_parsed_is_a_problem_of_its_trials_only():
    known = store(raw_trial(activities=[]))
    assert known.put_plan(raw_plan(activities=[{"name": 5}])) == [KEY]
    problem = known.snapshot(KEY).plan
    assert isinstance(problem, Problem)
    assert problem.reason == "PlanMalformed"
    assert "spec.activities[0].name" in problem.message


def test_an_older_word_of_a_plan_does_not_count():
    known = store(raw_trial(activities=[]))
    known.put_plan(raw_plan(version=9, activities=[{"name": "newer"}]))
    assert known.put_plan(raw_plan(version=8, activities=[{"name": "older"}])) == []
    used = known.snapshot(KEY).plan
    assert used is not None
    assert used.spec.activities[0].name == "newer"


def test_a_plan_of_another_namespace_is_not_used():
    known = store(raw_trial(activities=[]))
    other = raw_plan()
    other["metadata"]["namespace"] = "field"
    assert known.put_plan(other) == []
    assert isinstance(known.snapshot(KEY).plan, Problem)


# --- pods


def test_the_end_of_the_current_pod_is_seen():
    known = store(raw_trial(), engine=raw_engine(), pod=pod())
    assert known.put_pod(raw_pod()) == KEY
    seen = known.snapshot(KEY).pod
    assert isinstance(seen, Pod)
    assert seen.ended


@pytest.mark.parametrize(
    ("known_pod", "uid"),
    [
        pytest.param(None, "pod-1", id="nobody has asked for"),
        pytest.param(Absent("example-1"), "pod-1", id="was found to be gone"),
        pytest.param(pod(), "pod-0", id="is another of the same name"),
    ],
)
def test_no_word_is_taken_of_a_pod_that(known_pod, uid):
    known = store(raw_trial(), engine=raw_engine(), pod=known_pod)
    assert known.put_pod(raw_pod(uid=uid)) is None
    assert known.slot(KEY).pod is known_pod


def test_a_pod_that_has_ended_asks_for_a_new_look_at_the_engine():
    known = store(raw_trial(), engine=raw_engine(), pod=pod())
    known.slot(KEY).engine_read_after_end = True
    known.put_pod(raw_pod())
    assert not known.snapshot(KEY).engine_read_after_end


def test_a_pod_seen_again_as_it_was_asks_for_nothing():
    known = store(raw_trial(), engine=raw_engine(), pod=pod(ended=True))
    known.slot(KEY).engine_read_after_end = True
    known.put_pod(raw_pod())
    assert known.snapshot(KEY).engine_read_after_end


def test_a_pod_found_to_be_gone_again_asks_for_nothing():
    known = store(raw_trial(), engine=raw_engine(), pod=Absent("example-1"))
    known.slot(KEY).engine_read_after_end = True
    known.slot(KEY).set_pod(Absent("example-1"))
    assert known.snapshot(KEY).engine_read_after_end
    known.slot(KEY).set_pod(Absent("example-2"))
    assert not known.snapshot(KEY).engine_read_after_end


def test_a_pod_that_was_not_granted_is_not_doubted():
    assert store(raw_trial(), engine=raw_engine(), pod=pod()).doubt_pod("lab", "example") is None


@pytest.mark.parametrize(
    ("known_pod", "doubted"),
    [
        pytest.param(pod(), True, id="seems to run: yes"),
        pytest.param(pod(ended=True), False, id="has ended: no"),
        pytest.param(None, False, id="is not known anyway: no"),
    ],
)
def test_a_pod_is_doubted_that(known_pod, doubted):
    granted = {"name": "example-1", "uid": "pod-1", "notBefore": "2026-11-24T10:00:00Z"}
    known = store(raw_trial(), engine=raw_engine(podRef=granted), pod=known_pod)
    assert (known.doubt_pod("lab", "example") == KEY) is doubted
    assert (known.snapshot(KEY).pod is None) is (doubted or known_pod is None)


def test_a_pod_of_a_slot_that_is_not_known_is_not_doubted():
    assert store().doubt_pod("lab", "example") is None


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
    known = store(raw_trial(), engine=raw_engine(), pod=pod(ended=True))
    assert known.snapshot(KEY).pod is not None
    known.put_engine(raw_engine(version=2, **status))
    assert known.snapshot(KEY).pod is None


def test_a_new_leader_doubts_what_others_may_have_changed():
    known = store(raw_trial(), engine=raw_engine(), pod=pod())
    slot = known.slot(KEY)
    slot.admission, slot.refusal, slot.engine_gone = admitted(engine()), refused(0), True
    known.doubt_everything()
    seen = known.snapshot(KEY)
    assert (seen.pod, seen.admission, seen.refusal, seen.engine_gone) == (None, None, None, False)
    assert seen.engine is not None


def test_the_end_of_a_pod_of_a_slot_that_is_not_known_is_no_news():
    assert store().put_pod(raw_pod()) is None


# --- slots


def test_a_trial_and_an_engine_are_found_by_name():
    known = store(raw_trial("other", trialID="example"), engine=raw_engine())
    found, made = known.trial("lab", "other"), known.engine(KEY)
    assert found is not None
    assert made is not None
    assert (found.metadata.name, made.metadata.uid) == ("other", "engine-1")
    assert known.trial("lab", "example") is None
    assert known.engine(Key("lab", "other")) is None


def test_a_slot_is_forgotten_once_nothing_is_left_in_it():
    known = store(raw_trial(), engine=raw_engine())
    assert not known.forget_if_empty(KEY)
    known.drop_trial("lab", "example", "trial-1")
    assert not known.forget_if_empty(KEY)
    known.drop_engine("lab", "example", "engine-1")
    assert known.forget_if_empty(KEY)
    assert known.all_keys() == []


def test_a_slot_with_a_stranger_is_kept():
    known = store(engine=raw_engine(owner=""))
    assert not known.forget_if_empty(KEY)


def test_a_slot_that_nobody_knows_is_empty():
    assert store().snapshot(KEY).trials == ()
    assert store().forget_if_empty(KEY)


def test_all_that_is_known_is_listed_with_its_uid():
    known = store(raw_trial(), engine=raw_engine())
    assert known.trial_identities() == {("lab", "example", "trial-1")}
    assert known.engine_identities() == {("lab", "example", "engine-1")}
    assert known.all_keys() == [KEY]
