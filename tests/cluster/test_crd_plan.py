"""What the API server itself refuses in a plan, and what it fills in; all four kinds contain the plan."""

import pytest
from tests.cluster.crd_api import Api, engine, pause, plan, registry, request, run, trial, wait


@pytest.fixture(scope="module")
def api(cluster):
    return Api(cluster)


def activities(count, prefix="a"):
    return [pause(f"{prefix}{number}") for number in range(count)]


REFERENCE = {
    "parameters": [
        {"name": "enforcementUrl", "default": "http://enforcement"},
        {"name": "password", "secretKeyRef": {"name": "kpi", "key": "password"}},
        {"name": "slice"},
    ],
    "finishAt": "stopping",
    "engine": {
        "template": {"spec": {"nodeSelector": {"site": "oulu"}}},
        "heartbeatTimeoutSeconds": 30,
        "maxRestores": 2,
        "activeDeadlineSeconds": 3600,
        "finallyTimeoutSeconds": 60,
        "warmupSeconds": 5,
    },
    "activities": [
        {
            "name": "deploy-slice",
            "stateName": "SliceDeployment",
            "when": "{{ parameters.slice == 'true' }}",
            "http": {
                "method": "POST",
                "url": "{{ parameters.enforcementUrl }}/sliceDeployment",
                "query": {"callback_url": "{{ parameters.lcmUrl }}/trial/{{ trial.id }}/callback/slice"},
                "headers": {"Authorization": "{{ outputs['get-token'].token }}"},
                "basicAuth": {"username": "me", "password": "{{ parameters.password }}"},
                "podToken": True,
                "json": {"trialID": "{{ trial.id }}", "NST": "{{ outputs['info'].nst }}", "n": [1, None]},
                "expect": {"status": [201], "condition": "{{ response.json.ok }}"},
                "capture": {"slice": "{{ response.json.Slice.id }}", "token": "{{ response.json.token }}"},
                "secretCapture": ["token"],
                "timeoutSeconds": 30,
                "until": {
                    "condition": "{{ response.json.done }}",
                    "intervalSeconds": 5,
                    "timeoutSeconds": 600,
                },
            },
            "retry": {"limit": 2, "backoffSeconds": 5},
            "continueOnError": False,
            "set": {"kpiLabel": "Idle"},
        },
        {
            "name": "slice-ready",
            "wait": {"signal": "slice", "after": "deploy-slice", "timeoutSeconds": 600},
            "continueOnError": True,
        },
        {"name": "settle", "branch": "a", "sleep": {"seconds": 5}, "continueOnError": False},
        {"name": "until", "branch": "b", "sleep": {"untilSeconds": 90}, "continueOnError": False},
        {
            "name": "stopping",
            "exec": {
                "command": ["sh", "-c", "echo $WHO"],
                "env": {"WHO": "{{ trial.id }}"},
                "timeoutSeconds": 60,
            },
            "continueOnError": False,
        },
    ],
    "onFailure": [],
    "finally": [],
}


def test_a_plan_with_every_field_is_kept_as_it_is(api):
    assert api.admit(plan(**REFERENCE))["spec"] == REFERENCE


def test_defaults_are_filled_in(api):
    given = [request(until={"condition": "{{ true }}"}) | {"retry": {}}, wait(), run()]

    ask, hold, execute = api.admit(plan(*given))["spec"]["activities"]

    assert ask == {
        "name": "ask",
        "http": {
            "method": "GET",
            "url": "http://service.example/x",
            "podToken": False,
            "timeoutSeconds": 30,
            "until": {"condition": "{{ true }}", "intervalSeconds": 5, "timeoutSeconds": 600},
        },
        "retry": {"limit": 0, "backoffSeconds": 5},
        "continueOnError": False,
    }
    assert hold == wait() | {"continueOnError": False}
    assert execute == run() | {"continueOnError": False}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"a": {"b": [1, "x", None, True]}}, id="an object"),
        pytest.param([1, [2], {"c": 3}], id="a list"),
        pytest.param("{{ outputs['info'].body }}", id="a string"),
        pytest.param("", id="an empty string"),
        pytest.param(5, id="a number"),
        pytest.param(0.5, id="a fraction"),
        pytest.param(False, id="a boolean"),
        pytest.param({}, id="an empty object"),
    ],
)
def test_json_is_of_any_type_and_excludes_body(api, body):
    assert api.admit(plan(request(json=body)))["spec"]["activities"][0]["http"]["json"] == body

    said = api.refusal(plan(request(json=body, body="x")))
    assert "spec.activities[0].http.body" in said
    assert "at most one of json and body may be set" in said


def test_json_may_be_null(api):
    http = api.admit(plan(request(json=None)))["spec"]["activities"][0]["http"]

    assert "json" in http
    assert http["json"] is None


BAD_PLANS = {
    "a name twice in activities": (
        {"activities": [pause("a"), pause("b"), pause("a")]},
        "spec.activities: Invalid value: names must be unique across activities, onFailure and finally",
    ),
    "a name in activities and in onFailure": (
        {"activities": [pause("a")], "onFailure": [pause("a")]},
        "spec.activities: Invalid value: names must be unique across activities, onFailure and finally",
    ),
    "a name in activities and in finally": (
        {"activities": [pause("a")], "finally": [pause("a")]},
        "spec.activities: Invalid value: names must be unique across activities, onFailure and finally",
    ),
    "a name in onFailure and in finally": (
        {"activities": [pause("a")], "onFailure": [pause("b")], "finally": [pause("b")]},
        "spec.activities: Invalid value: names must be unique across activities, onFailure and finally",
    ),
    "129 activities": ({"activities": activities(129)}, "spec.activities: Too many: 129"),
    "128 activities and one in finally": (
        {"activities": activities(128), "finally": [pause("z")]},
        "activities, onFailure and finally must have at most 128 activities together",
    ),
    "129 activities over the three lists": (
        {"activities": activities(43), "onFailure": activities(43, "f"), "finally": activities(43, "z")},
        "activities, onFailure and finally must have at most 128 activities together",
    ),
    "finishAt that names none of its activities": (
        {"activities": [pause("a")], "finishAt": "b"},
        "spec.finishAt: Invalid value: finishAt must be the name of one of activities",
    ),
    "finishAt that names one of a branch": (
        {"activities": [pause("a") | {"branch": "x"}], "finishAt": "a"},
        "spec.finishAt: Invalid value: finishAt must name an activity without branch",
    ),
    "a branch in onFailure": (
        {"activities": [pause("a")], "onFailure": [pause("b") | {"branch": "x"}]},
        "spec.onFailure: Invalid value: onFailure must not have branches",
    ),
    "a branch in finally": (
        {"activities": [pause("a")], "finally": [pause("b") | {"branch": "x"}]},
        "spec.finally: Invalid value: finally must not have branches",
    ),
    "a branch that is no DNS label": (
        {"activities": [pause("a") | {"branch": "X"}]},
        "spec.activities[0].branch: Invalid value",
    ),
    "finishAt that names one in finally": (
        {"activities": [pause("a")], "finally": [pause("b")], "finishAt": "b"},
        "spec.finishAt: Invalid value: finishAt must be the name of one of activities",
    ),
    "a wait after an activity that there is not": (
        {"activities": [pause("a"), wait(after="b")]},
        "wait.after must be the name of an activity of this plan",
    ),
    "a wait in finally after an activity that there is not": (
        {"activities": [pause("a")], "finally": [wait(after="b")]},
        "wait.after must be the name of an activity of this plan",
    ),
    "an activity that is a string": ({"activities": ["a"]}, "spec.activities[0]"),
    "a bad activity in onFailure": (
        {"activities": [pause("a")], "onFailure": [{}]},
        "spec.onFailure[0].name",
    ),
    "a bad activity in finally": ({"activities": [pause("a")], "finally": [{}]}, "spec.finally[0].name"),
    "a misspelt list": ({"activities": [pause("a")], "onfailure": []}, "spec.onfailure"),
}


@pytest.mark.parametrize(("bad", "saying"), BAD_PLANS.values(), ids=BAD_PLANS.keys())
@pytest.mark.parametrize("kind", [plan, trial, engine], ids=["TrialPlan", "Trial", "TrialEngine"])
def test_a_plan_may_not_have(api, kind, bad, saying):
    assert saying in api.refusal(kind(**bad))


@pytest.mark.parametrize(("bad", "saying"), BAD_PLANS.values(), ids=BAD_PLANS.keys())
def test_the_plan_of_imported_trials_may_not_have(api, bad, saying):
    said = api.refusal(registry(trialTemplate=bad))

    assert saying.replace("spec.", "spec.trialTemplate.") in said


@pytest.mark.parametrize(
    "lists",
    [
        pytest.param({"activities": activities(128)}, id="128 activities in one list"),
        pytest.param(
            {"activities": [pause("a")], "finally": [wait(after="a")]},
            id="a wait in finally after one of activities",
        ),
        pytest.param(
            {"activities": activities(44), "onFailure": activities(42, "f"), "finally": activities(42, "z")},
            id="128 activities over three lists",
        ),
        pytest.param(
            {
                "activities": [pause(f"{number:0>3}" + "x" * 60) for number in range(128)],
                "finishAt": "127" + "x" * 60,
            },
            id="128 activities with names of 63 characters",
        ),
        pytest.param(
            {
                "activities": [pause(f"a{number}") | {"branch": f"b{number}"} for number in range(127)]
                + [pause("z")],
                "finishAt": "z",
            },
            id="127 parallel branches",
        ),
        pytest.param(
            {
                "activities": [
                    request(
                        url="{{ parameters.url }}/" + "x" * 400,
                        headers={f"{'h' * 120}{header}": "" for header in range(20)},
                        capture={f"c{capture}": "{{ response }}" for capture in range(64)},
                        secretCapture=[f"c{capture}" for capture in range(64)],
                    )
                    | {"name": f"a{number}"}
                    for number in range(128)
                ]
            },
            id="128 requests with all that a plan of half a megabyte can hold",
        ),
    ],
)
@pytest.mark.parametrize("kind", [plan, trial, engine], ids=["TrialPlan", "Trial", "TrialEngine"])
def test_a_plan_may_have(api, kind, lists):
    api.admit(kind(**lists))


BAD_PARAMETERS = {
    "no name": ([{"default": "x"}], "spec.parameters[0].name: Required"),
    "an empty name": ([{"name": ""}], "spec.parameters[0].name"),
    "a name that begins with a digit": ([{"name": "5g"}], "spec.parameters[0].name"),
    "a name with a blank": ([{"name": "a b"}], "spec.parameters[0].name"),
    "a name of 129 characters": ([{"name": "x" * 129}], "spec.parameters[0].name"),
    "a name twice": ([{"name": "a"}, {"name": "a"}], "spec.parameters[1]: Duplicate value"),
    "a default that is a number": ([{"name": "a", "default": 5}], "spec.parameters[0].default"),
    "a default and a Secret": (
        [{"name": "a", "default": "x", "secretKeyRef": {"name": "s", "key": "k"}}],
        "spec.parameters[0]: Invalid value: at most one of default and secretKeyRef may be set",
    ),
    "a Secret without a key": (
        [{"name": "a", "secretKeyRef": {"name": "s"}}],
        "spec.parameters[0].secretKeyRef.key: Required",
    ),
    "a Secret without a name": (
        [{"name": "a", "secretKeyRef": {"key": "k"}}],
        "spec.parameters[0].secretKeyRef.name: Required",
    ),
    "a key that no Secret can have": (
        [{"name": "a", "secretKeyRef": {"name": "s", "key": "a/b"}}],
        "spec.parameters[0].secretKeyRef.key",
    ),
    "257 of them": ([{"name": f"p{number}"} for number in range(257)], "spec.parameters: Too many"),
}


@pytest.mark.parametrize(("parameters", "saying"), BAD_PARAMETERS.values(), ids=BAD_PARAMETERS.keys())
def test_parameters_may_not_have(api, parameters, saying):
    assert saying in api.refusal(plan(pause("a"), parameters=parameters))


def test_a_trial_plan_needs_activities(api):
    assert "spec.activities: Required value" in api.refusal(plan() | {"spec": {}})
    assert "spec.activities" in api.refusal(plan())
