"""What is known of a trial long before its start: Armed=False with the reason, Checked, and what is read."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from tests.unit.domain.builders import (
    WATCHED,
    T,
    actions_of,
    admitted,
    armed,
    at,
    edited,
    engine,
    message_of,
    plan,
    pod,
    recorded_events,
    settle,
    shown,
    slot,
    steps,
    trial,
    with_activities,
)

from lcm_operator.api import conditions
from lcm_operator.api.plan import TrialPlan
from lcm_operator.api.trial import Trial, TrialStatus
from lcm_operator.domain.actions import Decision, DeleteEngine, WatchReferences, WriteTrial
from lcm_operator.domain.decide import decide
from lcm_operator.domain.engine_spec import plan_not_found
from lcm_operator.domain.snapshot import (
    Keys,
    Observation,
    Problem,
    Reference,
    RegistryLook,
    Settings,
    Snapshot,
)

AHEAD = at(-3000)
SECRET, CONFIG_MAP = Reference("Secret", "chat"), Reference("ConfigMap", "scripts")
REGISTRY = Reference("TrialRegistry", "default")


def new_status(decision: Decision) -> TrialStatus:
    """Return the one status that a decision writes."""
    (status,) = [action.status for action in actions_of(decision) if isinstance(action, WriteTrial)]
    return status


def using(**spec) -> tuple[Trial, TrialPlan]:
    """Return a Trial by a TrialPlan, and that plan."""
    by = plan(name="flight", **spec)
    return trial(activities=None, planRef={"name": "flight"}), by


def with_secret(**seen: Keys | None) -> Snapshot:
    """Return a slot whose plan takes a parameter from the key `url` of Secret `chat`."""
    ref = {"name": "chat", "key": "url"}
    this, by = using(parameters=[{"name": "webhook", "secretKeyRef": ref}])
    known = {SECRET: Observation(seen["chat"], AHEAD)} if "chat" in seen else {}
    return slot(this, plan=by, watched=WATCHED | {SECRET}, references=known)


def test_a_trial_in_order_is_checked_long_before_its_start():
    decision = decide(slot(trial()), AHEAD)

    assert shown(decision, "Armed") == ("Unknown", "Checked")
    assert new_status(decision).ready == "Checked"
    assert decide(settle(slot(trial()), AHEAD), AHEAD).wake_at == at(-60)


@pytest.mark.parametrize("suspend", [False, True])
def test_a_problem_is_shown_long_before_the_start(suspend):
    this = trial(activities=None, planRef={"name": "flightdya"}, suspend=suspend)
    before = slot(this, plan=plan_not_found(this, ["flightday", "other"]))
    decision = decide(before, AHEAD)

    assert shown(decision, "Armed") == ("False", "PlanNotFound")
    assert message_of(decision, "Armed") == (
        "TrialPlan flightdya does not exist in namespace lab; create it,"
        " or correct spec.planRef.name, did you mean flightday?"
    )
    assert ("PlanNotFound", True) in recorded_events(decision)
    status = new_status(decision)
    assert status.ready == "False"
    assert "flightdya" in status.message or suspend
    assert actions_of(decide(settle(before, AHEAD), AHEAD)) == ()


def test_a_trial_without_a_plan_is_reported_what_to_set():
    problem = plan_not_found(trial(activities=None), [])

    assert problem.message == (
        "the Trial has neither planRef nor activities, and there is no TrialPlan default; set one of them"
    )


def test_wrong_parameters_are_shown_with_the_nearest_name():
    this, by = using(parameters=[{"name": "drone"}])
    this = trial(activities=None, planRef={"name": "flight"}, parameters={"dron": "1"})
    message = message_of(decide(slot(this, plan=by), AHEAD), "Armed")

    assert "spec.parameters.dron: not declared by the plan, did you mean drone?" in message
    assert "spec.parameters.drone: required by the plan" in message


def test_a_fault_of_the_plan_keeps_it_from_being_armed():
    why = "activities[0].exec.env.A: statements are not supported"
    before = slot(trial(), plan_faults=why)

    decision = decide(before, AHEAD)
    assert shown(decision, "Armed") == ("False", "PlanInvalid")
    assert why in message_of(decision, "Armed")
    assert "CreateEngine" not in steps(decide(settle(before, at(-30)), at(-30)))


# --- objects that the engine needs


def test_what_an_engine_refers_to_is_read_before_the_trial_is_checked():
    before = replace(with_secret(), watched=frozenset())
    (action,) = actions_of(decide(before, AHEAD))

    assert isinstance(action, WatchReferences)
    assert action.objects == {each for each in WATCHED if each.kind != "TrialRegistry"} | {SECRET}


@pytest.mark.parametrize(
    ("keys", "reason", "words"),
    [
        pytest.param(None, "SecretNotFound", "Secret chat does not exist in namespace lab", id="no Secret"),
        pytest.param(
            frozenset({"uri"}), "SecretNotFound", "Secret chat has no key url; add it", id="no such key"
        ),
    ],
)
def test_a_missing_secret_is_shown_with_the_parameter(keys, reason, words):
    decision = decide(with_secret(chat=keys), AHEAD)

    assert shown(decision, "Armed") == ("False", reason)
    assert "parameter webhook: " in message_of(decision, "Armed")
    assert words in message_of(decision, "Armed")


def test_a_secret_with_its_key_is_in_order():
    assert shown(decide(with_secret(chat=frozenset({"url"})), AHEAD), "Armed") == ("Unknown", "Checked")


def test_an_object_that_could_not_be_read_is_no_problem():
    assert shown(decide(with_secret(), AHEAD), "Armed") == ("Unknown", "Checked")


def test_an_object_that_appears_makes_the_trial_checked():
    missing = settle(with_secret(chat=None), AHEAD)
    there = replace(missing, references={SECRET: Observation(frozenset({"url"}), AHEAD)})

    assert shown(decide(there, AHEAD), "Armed") == ("Unknown", "Checked")


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        pytest.param(
            {"volumes": [{"name": "a", "configMap": {"name": "scripts"}}]}, {CONFIG_MAP}, id="a volume"
        ),
        pytest.param(
            {"volumes": [{"name": "a", "configMap": {"name": "scripts", "optional": True}}]},
            set(),
            id="an optional volume",
        ),
        pytest.param(
            {
                "containers": [
                    {
                        "name": "engine",
                        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "chat", "key": "k"}}}],
                    }
                ]
            },
            {SECRET},
            id="a variable",
        ),
        pytest.param({"volumes": [{"name": "a", "secret": "odd"}, 5]}, set(), id="nothing that a pod takes"),
    ],
)
def test_the_objects_of_a_template_are_known(spec, found):
    this = trial(engine={"template": {"spec": spec}})
    decision = decide(slot(this, watched=frozenset()), AHEAD)
    objects = [action.objects for action in actions_of(decision) if isinstance(action, WatchReferences)]

    assert {each for each in (objects[0] if objects else ()) if each.kind in ("Secret", "ConfigMap")} == found


def test_an_armed_trial_shows_what_has_been_deleted_since():
    before = armed()
    gone = {Reference("ServiceAccount", "lcm-engine"): Observation(None, at(-20))}
    decision = decide(replace(before, references=gone), at(-20))

    assert shown(decision, "Armed") == ("False", "ServiceAccountNotFound")
    assert "kubectl -n lab apply -f deploy/rbac/engine.yaml" in message_of(decision, "Armed")


def started_without_its_account() -> Snapshot:
    """Return a slot whose start was granted although an object that the engine refers to is missing."""
    missing = {Reference("ServiceAccount", "lcm-engine"): Observation(None, at(-20))}
    before = settle(replace(armed(), references=missing), at(-20))
    return settle(replace(before, pod=pod()), at(0.2))


def test_a_trial_started_without_what_it_refers_to_is_not_ready():
    status = started_without_its_account().trials[0].status

    assert status.started_time is not None
    assert status.ready == "False"
    assert conditions.find(status.conditions, "Armed").reason == "ServiceAccountNotFound"


def test_a_trial_whose_engine_has_begun_lacks_nothing_any_more():
    begun = with_activities(started_without_its_account(), one="Running")
    status = settle(begun, at(1)).trials[0].status

    assert status.ready == "True"
    assert conditions.find(status.conditions, "Armed").status == "True"


# --- the plan that is edited


def test_an_edit_of_the_plan_before_the_latch_arms_the_trial_anew():
    this, by = using()
    made = engine(trial())
    spec = msgspec.structs.replace(made.spec, plan_generation=1, plan_uid="plan-1")
    first = msgspec.structs.replace(
        by, metadata=msgspec.structs.replace(by.metadata, uid="plan-1", generation=1)
    )
    second = msgspec.structs.replace(
        by, metadata=msgspec.structs.replace(by.metadata, uid="plan-1", generation=2)
    )
    before = slot(this, plan=first, engine=msgspec.structs.replace(made, spec=spec), admission=admitted(made))
    before = settle(before, at(-30))

    assert before.trials[0].status.plan_generation == 1
    (action,) = actions_of(decide(replace(before, plan=second), at(-20)))
    assert isinstance(action, DeleteEngine)
    anew = settle(replace(before, plan=second, engine=None), at(-3000))
    assert anew.trials[0].status.plan_generation == 2


# --- the registry


def registered(**seen) -> Snapshot:
    this = trial(startTime=None, registryRef={"name": "default"})
    return slot(this, looks={this.metadata.uid: RegistryLook(**seen)} if seen else {})


def test_a_trial_that_its_registry_lacks_says_so():
    before = settle(registered(answered=AHEAD, wanted=AHEAD), AHEAD)
    (this,) = before.trials

    found = conditions.find(this.status.conditions, "Armed")
    assert found is not None
    assert (found.status, found.reason) == ("False", "AwaitingRegistry")
    assert found.message.startswith("TrialRegistry default has no trial 'example' (asked at 09:10:00 UTC)")
    assert this.status.ready == "False"


def test_a_later_answer_that_is_the_same_is_not_written():
    later = AHEAD + timedelta(minutes=1)
    before = settle(settle(registered(answered=AHEAD, wanted=AHEAD), AHEAD), later)
    looks = {before.trials[0].metadata.uid: RegistryLook(answered=later, wanted=AHEAD)}

    assert actions_of(decide(replace(before, looks=looks), later)) == ()


def test_a_registry_that_does_not_exist_is_named():
    before = replace(registered(), references={REGISTRY: Observation(None, AHEAD)})
    decision = decide(before, AHEAD)

    assert shown(decision, "Scheduled") == ("False", "RegistryNotFound")
    assert shown(decision, "Armed") == ("False", "RegistryNotFound")
    assert "TrialRegistry default does not exist" in message_of(decision, "Armed")


def test_a_registry_that_has_not_answered_yet_is_no_problem():
    decision = decide(registered(), AHEAD)

    assert shown(decision, "Armed") == ("Unknown", "Waiting")
    assert new_status(decision).ready == ""


# --- past times


@pytest.mark.parametrize(
    ("created", "words"),
    [
        pytest.param(200, "the Trial was created 200 s after its start time", id="created late"),
        pytest.param(-3600, "the start would have been 300.000 s late", id="the operator was away"),
    ],
)
def test_a_missed_trial_says_how_it_is_scheduled_again(created, words):
    decision = decide(slot(trial(created=created)), at(300))
    message = message_of(decision, "Succeeded")

    assert message.startswith(words)
    assert message.endswith("To schedule it again, set spec.startTime to a future time")


def test_a_trial_moved_to_the_past_says_so_though_it_was_created_later():
    before = settle(slot(trial(startTime="2026-11-24T13:00:00Z", created=200)), at(250))
    (scheduled,) = before.trials
    decision = decide(replace(before, trials=(edited(scheduled, startTime="2026-11-24T10:00:00Z"),)), at(300))
    message = message_of(decision, "Succeeded")

    assert message.startswith(
        "the start time was changed from 2026-11-24T13:00:00Z to 2026-11-24T10:00:00Z; "
    )
    assert "300.000 s late" in message


def test_a_trial_past_its_start_that_cannot_start_is_due():
    problem = Problem("PlanNotFound", "no plan")
    before = settle(slot(trial(activities=None), plan=problem), at(-3000))

    assert before.trials[0].status.phase == "Scheduled"
    assert settle(before, at(1)).trials[0].status.phase == "Due"
    assert before.trials[0].status.start_time == T


FILES = {"files": [{"name": "run.sh", "configMapKeyRef": {"name": "scripts", "key": "run"}}]}


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        pytest.param(None, "ConfigMap scripts does not exist", id="no ConfigMap"),
        pytest.param(frozenset({"walk"}), "ConfigMap scripts has no key run", id="no such key"),
    ],
)
def test_missing_file_of_a_program_is_shown_long_before_the_start(seen, why):
    this = trial(activities=[{"name": "measure", "exec": {"command": ["run.sh"]} | FILES}])
    known = {CONFIG_MAP: Observation(seen, AHEAD)}
    decision = decide(slot(this, watched=WATCHED | {CONFIG_MAP}, references=known), AHEAD)

    assert shown(decision, "Armed") == ("False", "ConfigMapNotFound")
    assert f"file run.sh of activity measure: {why}" in message_of(decision, "Armed")


def test_number_out_of_bounds_is_shown_long_before_the_start():
    activities = [{"name": "one", "sleep": {"seconds": "{{ parameters.minutes | number * 60 }}"}}]
    decision = decide(slot(trial(activities=activities, parameters={"minutes": "x"})), AHEAD)

    assert shown(decision, "Armed") == ("False", "ParametersInvalid")
    assert "the filter number expects a number" in message_of(decision, "Armed")


def test_missing_object_of_the_default_template_is_named_as_the_operators():
    volume = {"name": "ca", "configMap": {"name": "corporate-ca", "items": [{"key": "ca.crt", "path": "x"}]}}
    settings = Settings(engine_template={"spec": {"volumes": [volume]}})
    ref = Reference("ConfigMap", "corporate-ca")
    before = replace(
        slot(trial(), watched=WATCHED | {ref}, references={ref: Observation(None, AHEAD)}), settings=settings
    )
    decision = decide(before, AHEAD)

    assert shown(decision, "Armed") == ("False", "ConfigMapNotFound")
    assert message_of(decision, "Armed").startswith(
        "volume ca of the operator's LCM_ENGINE_TEMPLATE: ConfigMap corporate-ca does not exist in namespace "
        "lab; create it"
    )
