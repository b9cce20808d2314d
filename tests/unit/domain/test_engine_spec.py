"""Arming: from a Trial and its plan to the TrialEngine, or why there can't be one."""

import pytest
from tests.unit.domain.builders import T, nap, plan, resolve_engine, trial

from lcm_operator.api import names
from lcm_operator.api.engine import Parameter, TrialEngine
from lcm_operator.api.engine_settings import EngineSettings
from lcm_operator.api.plan import SecretKeyRef
from lcm_operator.api.storage import parse
from lcm_operator.domain.engine_spec import LARGEST_SPEC, resolve_spec
from lcm_operator.domain.snapshot import Problem

BY_PLAN = {"activities": None}
DECLARED = {
    "parameters": [
        {"name": "url", "default": "http://lab"},
        {"name": "password", "secretKeyRef": {"name": "kpi", "key": "word"}},
        {"name": "slice"},
    ]
}


def resolved(this, by=None):
    manifest = resolve_engine(this, by, T)
    assert not isinstance(manifest, Problem), manifest.message
    return parse(manifest, TrialEngine)


def problem(this, by=None):
    found = resolve_engine(this, by, T)
    assert isinstance(found, Problem)
    return found


# --- the snapshot


def test_an_engine_carries_all_that_it_runs_by():
    spec = resolved(trial(generation=3, engine={"maxRestores": 2})).spec
    assert (spec.trial_id, spec.trial_uid, spec.trial_generation) == ("example", "trial-1", 3)
    assert spec.start_time == T
    assert [activity.name for activity in spec.activities] == ["one", "two", "three"]
    assert spec.engine.max_restores == 2


def test_an_engine_belongs_to_its_trial_and_is_not_held_before_its_start():
    metadata = resolved(trial()).metadata
    assert (metadata.name, metadata.namespace) == ("example", "lab")
    assert metadata.controller_uid == "trial-1"
    assert names.FINALIZER_ENGINE not in metadata.finalizers
    assert metadata.labels == {names.LABEL_TRIAL: "example"}


def test_the_owner_is_named_as_the_api_server_wants_it():
    manifest = resolve_engine(trial())
    assert not isinstance(manifest, Problem)
    (owner,) = manifest["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "lcm.5gdrones.eu/v1alpha1",
        "kind": "Trial",
        "name": "example",
        "uid": "trial-1",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def test_an_engine_is_named_after_the_trial_id_not_after_the_object():
    spec = resolved(trial(name="other", trialID="Trial 1"))
    assert spec.metadata.name == "trial-1-bb654d8159"
    assert spec.spec.trial_id == "Trial 1"


def test_the_activities_come_from_the_plan_where_the_trial_has_none():
    spec = resolved(trial(**BY_PLAN), plan(activities=[nap("planned")])).spec
    assert [activity.name for activity in spec.activities] == ["planned"]


@pytest.mark.parametrize(
    ("own", "planned", "expected"),
    [
        pytest.param({}, {}, EngineSettings(), id="neither: the defaults"),
        pytest.param({}, {"maxRestores": 2}, EngineSettings(max_restores=2), id="the plan's"),
        pytest.param(
            {"maxRestores": 1},
            {"maxRestores": 2, "activeDeadlineSeconds": 600, "finallyTimeoutSeconds": 30},
            EngineSettings(max_restores=1, active_deadline_seconds=600, finally_timeout_seconds=30),
            id="the Trial's before the plan's, field by field",
        ),
        pytest.param(
            {"maxRestores": 0, "heartbeatTimeoutSeconds": 60},
            {"maxRestores": 2, "heartbeatTimeoutSeconds": 90},
            EngineSettings(),
            id="the Trial's even where they are the default",
        ),
        pytest.param(
            {"template": {"spec": {"nodeSelector": {"site": "espoo"}}}},
            {"template": {"spec": {"nodeSelector": {"site": "oulu", "disk": "ssd"}}}},
            EngineSettings(template={"spec": {"nodeSelector": {"site": "espoo", "disk": "ssd"}}}),
            id="the templates merged",
        ),
        pytest.param(
            {"template": {"spec": {"nodeSelector": None}}},
            {"template": {"spec": {"nodeSelector": {"site": "oulu"}}}},
            EngineSettings(template={"spec": {}}),
            id="a null of the Trial removes what the plan sets",
        ),
    ],
)
def test_engine_settings_of_the_trial_count_before_those_of_its_plan(own, planned, expected):
    assert resolved(trial(**BY_PLAN, engine=own), plan(engine=planned)).spec.engine == expected


def test_a_refused_template_of_a_plan_is_reported_with_the_plan():
    refused = {"template": {"spec": {"hostNetwork": True}}}
    found = problem(trial(**BY_PLAN), plan(name="flight", engine=refused))
    assert found.reason == "TemplateRefused"
    assert found.message.startswith("TrialPlan flight: spec.engine.template.spec.hostNetwork: not allowed")


def test_refused_templates_of_plan_and_trial_are_reported_together():
    own = {"template": {"spec": {"hostPID": True}}}
    found = problem(trial(**BY_PLAN, engine=own), plan(engine={"template": {"spec": {"hostIPC": True}}}))
    assert "TrialPlan default: spec.engine.template.spec.hostIPC: not allowed" in found.message
    assert "; spec.engine.template.spec.hostPID: not allowed" in found.message


DEFAULT = {
    "metadata": {"annotations": {"safe-to-evict": "false"}},
    "spec": {
        "priorityClassName": "flights",
        "volumes": [{"name": "ca", "configMap": {"name": "corporate-ca"}}],
        "containers": [
            {
                "name": "engine",
                "env": [{"name": "SSL_CERT_FILE", "value": "/ca/ca.crt"}],
                "resources": {"requests": {"cpu": "50m", "memory": "1Gi"}},
                "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
            }
        ],
    },
}


def test_operators_default_template_comes_before_those_of_plan_and_trial():
    own = {"template": {"metadata": {"annotations": {"note": "x"}}}}
    by = plan(engine={"template": {"spec": {"priorityClassName": "low"}}})
    found = resolve_spec(trial(**BY_PLAN, engine=own), by, T, DEFAULT)

    assert not isinstance(found, Problem)
    template = found.engine.template
    assert template["metadata"]["annotations"] == {"safe-to-evict": "false", "note": "x"}
    assert template["spec"]["priorityClassName"] == "low"
    assert template["spec"]["containers"] == DEFAULT["spec"]["containers"]


def test_default_template_contradicts_no_trial():
    container = {
        "name": "engine",
        "env": [{"name": "SSL_CERT_FILE", "value": "/own"}],
        "resources": {"limits": {"memory": "64Mi"}},
        "volumeMounts": [{"name": "own", "mountPath": "/ca"}],
    }
    own = {"spec": {"volumes": [{"name": "own", "emptyDir": {}}], "containers": [container]}}
    found = resolve_spec(trial(engine={"template": own}), None, T, DEFAULT)

    assert not isinstance(found, Problem)
    (engine,) = found.engine.template["spec"]["containers"]
    assert engine["env"] == container["env"]
    assert engine["volumeMounts"] == container["volumeMounts"]
    assert engine["resources"] == {"requests": {"cpu": "50m"}, "limits": {"memory": "64Mi"}}


def test_default_template_takes_no_room_from_the_largest_plan():
    def fits(size, default):
        exec_ = {"command": ["true"], "stdin": "x" * size}
        return not isinstance(
            resolve_spec(trial(activities=[{"name": "a", "exec": exec_}]), None, T, default), Problem
        )

    size = next(size for size in range(LARGEST_SPEC, 0, -64) if fits(size, None))
    large = {"metadata": {"annotations": {"note": "x" * 1000}}}
    assert fits(size, large)


def test_a_plan_that_does_not_exist_is_the_problem_that_was_found():
    missing = Problem("PlanNotFound", "TrialPlan default does not exist")
    assert resolve_engine(trial(**BY_PLAN), missing, T) is missing


# --- parameters


def test_the_keys_of_an_inline_plan_s_trial_are_its_parameters():
    given = {"b": "2", "a": "1"}
    assert resolved(trial(parameters=given)).spec.parameters == (
        Parameter(name="a", value="1"),
        Parameter(name="b", value="2"),
    )


def test_parameters_of_a_plan_are_given_or_default_or_from_a_secret():
    spec = resolved(trial(**BY_PLAN, parameters={"slice": "true"}), plan(**DECLARED)).spec
    assert spec.parameters == (
        Parameter(name="url", value="http://lab"),
        Parameter(name="password", secret_key_ref=SecretKeyRef(name="kpi", key="word")),
        Parameter(name="slice", value="true"),
    )


def test_what_a_trial_gives_counts_more_than_default_and_secret():
    given = {"slice": "true", "url": "http://other", "password": "known"}
    spec = resolved(trial(**BY_PLAN, parameters=given), plan(**DECLARED)).spec
    assert {parameter.name: parameter.value for parameter in spec.parameters} == given
    assert all(parameter.secret_key_ref is None for parameter in spec.parameters)


def test_an_empty_value_is_a_value():
    spec = resolved(trial(**BY_PLAN, parameters={"slice": ""}), plan(**DECLARED)).spec
    assert spec.parameters[-1] == Parameter(name="slice", value="")


def test_every_wrong_parameter_is_named_at_once():
    found = problem(trial(**BY_PLAN, parameters={"colour": "red", "air": "thin"}), plan(**DECLARED))
    assert found.reason == "ParametersInvalid"
    assert found.message == (
        "spec.parameters.air: not declared by the plan; "
        "spec.parameters.colour: not declared by the plan; "
        "spec.parameters.slice: required by the plan"
    )


# --- what is refused


def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        pytest.param(
            {"engine": {"template": {"spec": {"hostNetwork": True}}}},
            "TemplateRefused",
            "hostNetwork",
            id="a template with a field that is not allowed",
        ),
        pytest.param(
            {
                "activities": [
                    nap("one"),
                    {"name": "two", "http": {"url": "http://x", "headers": {"TE": "x"}}},
                ]
            },
            "PlanUnsupported",
            "activities[1].http.headers.TE",
            id="a plan that this engine can't run",
        ),
        pytest.param(
            {
                "parameters": {"host": "partner:99999"},
                "activities": [{"name": "one", "http": {"url": "http://{{ parameters.host }}/"}}],
            },
            "PlanUnsupported",
            "activities[0].http.url: not a URL, the port must be a number from 1 to 65535",
            id="a parameter with a port that is none",
        ),
        pytest.param(
            {"activities": [{"name": "one", "exec": {"command": [""]}}]},
            "PlanUnsupported",
            "activities[0].exec.command[0]: must be the name of a program",
            id="a program without a name",
        ),
        pytest.param(
            {"parameters": {f"p{n}": "x" * 8000 for n in range(40)}},
            "PlanTooLarge",
            str(LARGEST_SPEC),
            id="a plan that is too large",
        ),
        pytest.param(
            {"activities": [{"name": "one", "http": {"url": "http://x", "json": [[]] * 200_000}}]},
            "PlanTooLarge",
            "activities[0].http.json: is larger than 256 KiB",
            id="a plan with a body that is too large",
        ),
        pytest.param(
            {"activities": [{"name": "one", "http": {"url": "http://x", "json": nested(65)}}]},
            "PlanUnsupported",
            "activities[0].http.json: nests deeper than 64 levels",
            id="a plan with a body that nests too deep",
        ),
        pytest.param(
            {"engine": {"template": {"spec": {"containers": nested(64)}}}},
            "TemplateRefused",
            "spec.engine.template: nests deeper than 64 levels",
            id="a template that nests too deep",
        ),
    ],
)
def test_no_engine_is_made_of(spec, reason, words):
    found = problem(trial(**spec))
    assert found.reason == reason
    assert words in found.message


def test_a_plan_just_below_the_limit_passes():
    size = len(str(resolve_engine(trial())))
    filling = {"filling": "x" * (LARGEST_SPEC - size)}
    resolved(trial(parameters=filling))


# --- numbers


def test_number_that_plain_parameters_determine_is_fixed():
    activities = [nap("one") | {"sleep": {"seconds": "{{ parameters.minutes | number * 60 }}"}}]
    spec = resolved(trial(activities=activities, parameters={"minutes": "2"})).spec
    assert spec.activities[0].sleep.seconds == 120


def test_number_that_a_secret_determines_is_left_to_the_engine():
    by = plan(activities=[nap("one") | {"sleep": {"seconds": "{{ parameters.password }}"}}], **DECLARED)
    spec = resolved(trial(**BY_PLAN, parameters={"slice": "s"}), by).spec
    assert spec.activities[0].sleep.seconds == "{{ parameters.password }}"


def test_number_out_of_bounds_is_told_before_the_start():
    activities = [nap("one") | {"sleep": {"seconds": "{{ parameters.minutes | number * 60 }}"}}]
    found = problem(trial(activities=activities, parameters={"minutes": "-2"}))
    assert (found.reason, found.message) == (
        "ParametersInvalid",
        "activities[0].sleep.seconds: expected a number from 0 to 315360000, got `-120`",
    )
