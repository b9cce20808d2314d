"""What the operator has seen of Trials and TrialEngines: newest wins, the dead stay dead."""

import pytest
from tests.unit.controllers.objects import KEY, cache, raw_engine, raw_plan, raw_trial
from tests.unit.domain.builders import T, admitted, engine, pod, refused

from lcm_operator.api import names
from lcm_operator.controllers.key import Key


def reports(known):
    """Return what the cache would have reported since the last time."""
    made = []
    known.complaints.report(lambda *report, **_: made.append(report))
    return made


# --- Trials


def test_a_trial_is_put_into_the_slot_of_its_trial_id():
    known = cache()
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
    known = cache(raw_trial(version=9))
    assert known.put_trial(raw_trial(version=version, suspend=True)) == ([KEY] if taken else [])
    assert known.snapshot(KEY).trials[0].spec.suspend is taken


def test_resource_versions_are_compared_as_numbers():
    known = cache(raw_trial(version=99))
    assert known.put_trial(raw_trial(version=100)) == [KEY]


def test_a_trial_that_is_gone_is_forgotten():
    known = cache(raw_trial())
    assert known.drop_trial("lab", "example", "trial-1") == KEY
    assert known.snapshot(KEY).trials == ()


def test_a_late_word_of_a_trial_that_is_gone_does_not_bring_it_back():
    known = cache(raw_trial())
    known.drop_trial("lab", "example", "trial-1")
    assert known.put_trial(raw_trial(version=50)) == []
    assert known.snapshot(KEY).trials == ()


def test_a_trial_that_is_gone_before_it_was_seen_stays_gone():
    known = cache()
    known.drop_trial("lab", "example", "trial-1")
    assert known.put_trial(raw_trial()) == []


def test_end_of_an_earlier_trial_of_that_name_does_not_end_this_one():
    known = cache(raw_trial(uid="trial-2", version=7))
    assert known.drop_trial("lab", "example", "trial-1") is None
    assert len(known.snapshot(KEY).trials) == 1


def test_a_trial_re_created_under_its_name_replaces_the_old_one():
    known = cache(raw_trial(version=5), raw_trial(uid="trial-2", version=6, suspend=True))
    (trial,) = known.snapshot(KEY).trials
    assert trial.metadata.uid == "trial-2"


def test_a_trial_re_created_with_another_trial_id_moves_to_that_slot():
    known = cache(raw_trial(version=5))
    other = Key("lab", "other")
    moved = known.put_trial(raw_trial(uid="trial-2", version=6, trialID="other"))
    assert sorted(moved) == [KEY, other]
    assert known.snapshot(KEY).trials == ()
    assert len(known.snapshot(other).trials) == 1


def test_trials_of_one_id_share_a_slot():
    known = cache(raw_trial(), raw_trial("second", uid="trial-2", trialID="example"))
    assert [trial.metadata.name for trial in known.snapshot(KEY).trials] == ["example", "second"]


def test_trials_of_one_name_in_two_namespaces_do_not_meet():
    known = cache(raw_trial())
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
def test_what_can_not_be_parsed_is_neither_there_nor_gone_and_reported_once(kind, bad, good):
    known = cache(raw_trial(), engine=raw_engine())
    put = known.put_trial if kind == "Trial" else known.put_engine
    assert put(bad) == [KEY]
    put(bad)
    assert [reported[0] for reported in reports(known)] == [kind]
    assert f"{kind} example" in known.snapshot(KEY).unreadable
    assert put(good) == [KEY]
    assert known.snapshot(KEY).unreadable == ""
    seen = known.snapshot(KEY)
    assert seen.trials
    assert seen.engine is not None


def test_what_can_not_be_parsed_is_forgotten_when_it_is_gone():
    known = cache()
    known.put_trial(raw_trial(suspend="yes"))
    assert not known.forget_if_empty(KEY)
    known.drop_trial("lab", "example", "trial-1")
    assert known.forget_if_empty(KEY)


def test_a_refusal_does_not_count_for_a_trial_whose_spec_has_changed():
    known = cache(raw_trial())
    known.slot(KEY).refusal = refused(0)
    known.put_trial(raw_trial(version=2))
    assert known.snapshot(KEY).refusal is not None
    changed = raw_trial(version=3)
    changed["metadata"]["generation"] = 2
    known.put_trial(changed)
    assert known.snapshot(KEY).refusal is None


def test_that_an_engine_was_not_there_before_the_latch_says_nothing_after_it():
    known = cache(raw_trial())
    known.slot(KEY).engine_gone = True
    latched = raw_trial(version=2) | {"status": {"startedTime": "2026-11-24T10:00:00Z"}}
    known.put_trial(latched)
    assert not known.snapshot(KEY).engine_gone
    known.slot(KEY).engine_gone = True
    latched["metadata"]["resourceVersion"] = "3"
    known.put_trial(latched)
    assert known.snapshot(KEY).engine_gone


def test_what_can_not_be_parsed_is_in_the_slot_that_its_spec_names():
    known = cache()
    other = raw_trial("other", suspend="yes", trialID="example")
    assert known.put_trial(other) == [KEY]
    nameless = raw_trial("nameless", trialID=7)
    assert known.put_trial(nameless) == [Key("lab", "nameless")]
    engine = raw_engine(attempt="two") | {"spec": {"trialID": "Trial 1"}}
    assert known.put_engine(engine) == [KEY]


def test_what_can_not_be_parsed_is_reported_again_for_another_reason():
    known = cache()
    known.put_trial(raw_trial(suspend="yes"))
    known.put_trial(raw_trial(suspend=False, startTime="tomorrow"))
    assert len(reports(known)) == 1


def test_what_can_not_be_parsed_is_listed_as_well():
    known = cache()
    known.put_trial(raw_trial(suspend="yes"))
    known.put_engine(raw_engine(attempt="two"))
    assert known.known_trials.entry(("lab", "example")).uid == "trial-1"
    assert known.known_engines.entry(("lab", "example")).uid == "engine-1"


@pytest.mark.parametrize("kind", ["put_trial", "put_engine"])
def test_late_older_version_does_not_replace_an_unreadable_one(kind):
    raw, bad = (raw_trial, {"suspend": "yes"}) if kind == "put_trial" else (raw_engine, {"attempt": "two"})
    known = cache()
    assert getattr(known, kind)(raw(version=7, **bad)) == [KEY]
    assert getattr(known, kind)(raw(version=6)) == []
    assert known.snapshot(KEY).unreadable != ""


def test_late_unreadable_version_does_not_replace_a_newer_one():
    known = cache()
    known.put_trial(raw_trial(version=7))
    assert known.put_trial(raw_trial(version=6, suspend="yes")) == []
    assert known.snapshot(KEY).unreadable == ""


def test_trial_whose_id_can_not_be_read_any_more_stays_in_its_slot():
    known = cache()
    known.put_trial(raw_trial(version=7, trialID="survey"))
    key = Key("lab", "survey")
    assert known.put_trial(raw_trial(version=8, trialID=5)) == [key]
    assert known.snapshot(key).unreadable != ""
    known.put_trial(raw_trial(version=9, trialID="survey"))
    assert known.snapshot(key).unreadable == ""


# --- TrialEngines


def test_an_engine_is_put_into_the_slot_of_its_name():
    known = cache()
    assert known.put_engine(raw_engine()) == [KEY]
    assert known.snapshot(KEY).engine is not None


@pytest.mark.parametrize(
    ("version", "attempt"),
    [pytest.param(10, 2, id="newer: taken"), pytest.param(8, 0, id="older: not taken")],
)
def test_an_engine_that_is(version, attempt):
    known = cache(engine=raw_engine(version=9))
    known.put_engine(raw_engine(version=version, attempt=2))
    seen = known.snapshot(KEY).engine
    assert seen is not None
    assert seen.status.attempt == attempt


def test_an_engine_that_is_gone_stays_gone():
    known = cache(engine=raw_engine())
    assert known.drop_engine("lab", "example", "engine-1") == KEY
    assert known.put_engine(raw_engine(version=50)) == []
    assert known.snapshot(KEY).engine is None


def test_the_end_of_an_earlier_engine_is_not_the_end_of_this_one():
    known = cache(engine=raw_engine(uid="engine-2"))
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
    known = cache(raw_trial(), engine=stranger)
    assert known.snapshot(KEY).stranger
    assert known.snapshot(KEY).engine is None


def test_a_stranger_that_is_gone_is_one_no_longer():
    known = cache(raw_trial(), engine=raw_engine(owner=""))
    assert known.drop_engine("lab", "example", "engine-1") == KEY
    assert not known.snapshot(KEY).stranger


def test_what_was_found_out_about_an_engine_does_not_count_for_the_next():
    known = cache(raw_trial(), engine=raw_engine(), pod=pod())
    slot = known.slot(KEY)
    slot.admission, slot.refusal, slot.engine_gone = admitted(engine()), refused(0), True
    known.put_engine(raw_engine(uid="engine-2", version=2))
    seen = known.snapshot(KEY)
    assert (seen.pod, seen.admission, seen.refusal, seen.engine_gone) == (None, None, None, False)


def test_what_was_found_out_about_an_engine_survives_its_next_version():
    admission = admitted(engine())
    known = cache(raw_trial(), engine=raw_engine(), pod=pod())
    known.slot(KEY).admission = admission
    known.put_engine(raw_engine(version=2))
    assert known.snapshot(KEY).pod is not None
    assert known.snapshot(KEY).admission is admission


@pytest.mark.parametrize(
    ("owner", "label", "ours"),
    [
        pytest.param("trial-1", "", True, id="a Trial controls it: ours"),
        pytest.param("", "example", True, id="orphaned, with our label: ours"),
        pytest.param("", "", False, id="of nobody and without our label: a stranger"),
        pytest.param("", "other", False, id="of nobody, labelled as another's: a stranger"),
    ],
)
def test_an_engine_under_our_name(owner, label, ours):
    raw = raw_engine(owner=owner)
    raw["metadata"]["labels"] = {names.LABEL_TRIAL: label}
    known = cache(raw_trial(), engine=raw)
    assert (known.snapshot(KEY).engine is not None) is ours
    assert known.snapshot(KEY).stranger is not ours


def test_an_engine_with_our_label_that_something_else_owns_is_a_stranger():
    raw = raw_engine(kind="Deployment")
    raw["metadata"]["labels"] = {names.LABEL_TRIAL: "example"}
    assert cache(engine=raw).snapshot(KEY).stranger


def test_an_engine_that_loses_its_owner_stays_the_one_that_it_was():
    known = cache(raw_trial(), engine=raw_engine())
    assert known.put_engine(raw_engine(owner="", version=2)) == [KEY]
    seen = known.snapshot(KEY).engine
    assert seen is not None
    assert seen.metadata.controller_uid is None


def test_an_engine_that_comes_after_one_was_missed_is_there():
    known = cache(raw_trial())
    known.slot(KEY).engine_gone = True
    known.put_engine(raw_engine())
    assert not known.snapshot(KEY).engine_gone


def test_the_end_of_an_engine_that_nobody_knows_is_no_news():
    assert cache().drop_engine("lab", "example", "engine-1") is None


# --- terms


def test_times_that_a_registry_reported_in_an_earlier_term_do_not_count():
    known = cache(raw_trial(startTime=None, registryRef={"name": "default"}))
    known.registries.report_list(("lab", "default"), {"example": T}, {"example"}, read=T)
    (reported,) = known.snapshot(KEY).reported.values()
    assert reported.value == T
    known.begin_term()
    assert known.snapshot(KEY).reported == {}


# --- objects that somebody wrote to do harm


def deep(levels=200):
    value = []
    for _ in range(levels):
        value = [value]
    return value


HOSTILE_METADATA = [
    {"name": "example", "namespace": "lab", "uid": "u", "resourceVersion": "7"} | odd
    for odd in (
        {"annotations": 5},
        {"labels": {"a": deep()}},
        {"ownerReferences": "x"},
        {"finalizers": {"a": 1}},
        {"creationTimestamp": "yesterday"},
        {"generation": "1"},
        {"deletionTimestamp": deep()},
    )
]


@pytest.mark.parametrize("metadata", HOSTILE_METADATA)
@pytest.mark.parametrize(
    "rest", [{}, {"spec": 5}, {"spec": {"trialID": deep()}}, {"spec": None, "status": "x"}]
)
def test_no_object_makes_a_put_fail(metadata, rest):
    known = cache(raw_trial(), engine=raw_engine())
    raw = {"metadata": metadata} | rest
    for put in (known.put_trial, known.put_engine, known.put_plan):
        assert isinstance(put(raw), list)
    assert known.put_pod(raw) is None
    assert {"Trial", "TrialEngine"} <= {kind for kind, *_ in reports(known)}


def test_deep_output_is_reported_and_the_rest_of_the_engine_is_used():
    known = cache(raw_trial())
    activity = {"name": "one", "state": "Succeeded", "run": 1, "output": {"x": deep()}}
    assert known.put_engine(raw_engine(activities=[activity], attempt=2)) == [KEY]
    assert known.snapshot(KEY).engine.status.attempt == 2
    assert known.snapshot(KEY).unreadable == ""
    ((kind, _, _, why),) = reports(known)
    assert (kind, why) == ("TrialEngine", "status.activities[0].output: nests deeper than 64 levels")


def test_plan_that_nests_too_deep_is_reported_once():
    known = cache(raw_trial(activities=[]))
    plan = raw_plan(activities=[{"name": "one", "http": {"url": "http://a", "json": deep()}}])
    known.put_plan(plan)
    assert [reported[0] for reported in reports(known)] == ["TrialPlan"]
    known.put_plan(raw_plan(version=2, activities=plan["spec"]["activities"]))
    assert reports(known) == []
