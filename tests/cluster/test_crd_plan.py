"""What the API server itself refuses in a plan, and what it fills in; all four kinds contain the plan."""

import pytest
from tests.cluster.crd_api import Api, engine, pause, plan, registry, request, trial


@pytest.fixture(scope="module")
def api(cluster):
    return Api(cluster)


def wait(**more):
    return {"name": "hold", "wait": {"signal": "slice"} | more}


def run(**more):
    return {"name": "run", "exec": {"command": ["true"]} | more}


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


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://service.example", id="a host alone"),
        pytest.param("https://10.0.0.1:8443/a?b=c", id="an address and a port"),
        pytest.param("{{ parameters.url }}/trial/{{ trial.id }}/", id="an ID after a parameter"),
        pytest.param("{{parameters.url}}/{{ outputs['info'].id }}", id="an output in the path"),
        pytest.param(
            "http://{{ parameters.host }}:{{ parameters.port }}/{{ values.a }}", id="host by parameter"
        ),
        pytest.param("{{ parameters.outputs }}/x", id="a parameter that is called outputs"),
        pytest.param("http://service.example?x={{ outputs.a.b }}", id="an output in the query"),
        pytest.param("http://outputs.example/{{ now }}", id="a host that is called outputs"),
    ],
)
def test_a_url_may_be(api, url):
    assert api.admit(plan(request(url=url)))["spec"]["activities"][0]["http"]["url"] == url


BAD_URLS = {
    "nothing": ("", "at least 1"),
    "a path alone": ("/trial/", "url must begin with http://, https:// or an expression"),
    "a host alone": ("service.example/x", "url must begin with"),
    "another scheme": ("ftp://service.example/", "url must begin with"),
    "a file": ("file:///etc/passwd", "url must begin with"),
    "its scheme in capitals": ("HTTP://service.example/", "url must begin with"),
    "a blank before it": (" http://service.example/", "url must begin with"),
    "its host from outputs": ("http://{{ outputs['a'].host }}/x", "url must take scheme, host and port"),
    "its host from values": ("https://{{values.host}}/x", "url must take scheme, host and port"),
    "its port from outputs": (
        "http://a.example:{{ outputs.a.port }}/x",
        "url must take scheme, host and port",
    ),
    "its port from the response": (
        "http://a.example:{{response.json}}/",
        "url must take scheme, host and port",
    ),
    "its whole base from outputs": ("{{ outputs['a'].url }}/x", "url must take scheme, host and port"),
    "its base from outputs, trimmed": ("{{- outputs['a'].url -}}/x", "url must take scheme, host and port"),
    "the end of its host from outputs": (
        "{{ parameters.url }}{{ outputs['a'].b }}/x",
        "url must take scheme, host and port",
    ),
    "its host from outputs, its scheme from a parameter": (
        "{{ parameters.scheme }}://{{ outputs['a'].b }}/x",
        "url must take scheme, host and port",
    ),
    "more than 4096 characters": ("http://service.example/" + "x" * 4096, "4096"),
}


@pytest.mark.parametrize(("url", "saying"), BAD_URLS.values(), ids=BAD_URLS.keys())
def test_a_url_may_not_be_or_have(api, url, saying):
    said = api.refusal(plan(request(url=url)))

    assert "spec.activities[0].http.url" in said
    assert saying in said


BAD_ACTIVITIES = {
    "no name": ({"sleep": {"seconds": 1}}, ".name", "Required"),
    "an empty name": (pause(""), ".name", "at least 1"),
    "a name in capitals": (pause("Deploy"), ".name", "should match"),
    "a name with an underscore": (pause("a_b"), ".name", "should match"),
    "a name with a point": (pause("a.b"), ".name", "should match"),
    "a name that begins with a dash": (pause("-a"), ".name", "should match"),
    "a name that ends with a dash": (pause("a-"), ".name", "should match"),
    "a name of 64 characters": (pause("x" * 64), ".name", "63"),
    "nothing to do": ({"name": "a"}, "", "exactly one of http, wait, sleep and exec"),
    "two things to do": (
        pause("a", exec={"command": ["true"]}),
        "",
        "exactly one of http, wait, sleep and exec",
    ),
    "four things to do": (
        {"name": "a", "http": request()["http"], "wait": wait()["wait"], "exec": run()["exec"]}
        | {"sleep": {"seconds": 1}},
        "",
        "exactly one of http, wait, sleep and exec",
    ),
    "an empty state name": (pause("a", stateName=""), ".stateName", "at least 1"),
    "a state name with a line feed": (pause("a", stateName="a\nb"), ".stateName", "should match"),
    "an empty condition": (pause("a", when=""), ".when", "at least 1"),
    "a condition that is a boolean": (pause("a", when=True), ".when", "string"),
    "continueOnError in words": (pause("a", continueOnError="no"), ".continueOnError", "boolean"),
    "fewer than no retries": (pause("a", retry={"limit": -1}), ".retry.limit", "greater than or equal to 0"),
    "half a retry": (pause("a", retry={"limit": 0.5}), ".retry.limit", "multiple of 1"),
    "a negative pause": (pause("a", retry={"backoffSeconds": -1}), ".retry.backoffSeconds", "or equal to 0"),
    "a value that is a number": (pause("a", set={"x": 1}), ".set.x", "string"),
    "a value without a name": (pause("a", set={"": "x"}), ".set", "1 to 128 characters"),
    "65 values": (pause("a", set={f"v{n}": "" for n in range(65)}), ".set", "64"),
    "a misspelt field": (pause("a", continueOnErrors=True), ".continueOnErrors", "unknown field"),
    "a request without a URL": ({"name": "a", "http": {}}, ".http.url", "Required"),
    "a method that there is not": (request(method="FETCH"), ".http.method", 'supported values: "GET"'),
    "a method in small letters": (request(method="post"), ".http.method", 'supported values: "GET"'),
    "a query that is a list": (request(query=["a"]), ".http.query", "object"),
    "a query with a number": (request(query={"a": 1}), ".http.query.a", "string"),
    "a header without a name": (request(headers={"": "x"}), ".http.headers", "1 to 128 characters"),
    "a header of 129 characters": (request(headers={"x" * 129: ""}), ".http.headers", "1 to 128 characters"),
    "a user without a password": (
        request(basicAuth={"username": "a"}),
        ".http.basicAuth.password",
        "Required",
    ),
    "a password without a user": (
        request(basicAuth={"password": "a"}),
        ".http.basicAuth.username",
        "Required",
    ),
    "a pod token in words": (request(podToken="yes"), ".http.podToken", "boolean"),
    "a body that is a list": (request(body=["a"]), ".http.body", "string"),
    "a body of more than 64 KiB": (request(body="x" * 65537), ".http.body", "65536"),
    "an expected status that is none": (request(expect={"status": [99]}), ".http.expect.status[0]", "100"),
    "an expected status above all": (request(expect={"status": [600]}), ".http.expect.status[0]", "599"),
    "an expected status in words": (request(expect={"status": ["2xx"]}), ".http.expect.status[0]", "integer"),
    "one expected status without a list": (request(expect={"status": 200}), ".http.expect.status", "array"),
    "an empty list of expected statuses": (
        request(expect={"status": []}),
        ".http.expect.status",
        "at least 1",
    ),
    "the same status twice": (request(expect={"status": [200, 200]}), ".http.expect.status[1]", "Duplicate"),
    "an empty expectation": (request(expect={"condition": ""}), ".http.expect.condition", "at least 1"),
    "a capture that is a list": (request(capture=["a"]), ".http.capture", "object"),
    "a capture without a name": (request(capture={"": "x"}), ".http.capture", "1 to 128 characters"),
    "a secret that is not captured": (
        request(capture={"a": "{{ response.text }}"}, secretCapture=["b"]),
        ".http.secretCapture",
        "secretCapture must name entries of capture",
    ),
    "a secret where nothing is captured": (
        request(secretCapture=["b"]),
        ".http.secretCapture",
        "secretCapture must name entries of capture",
    ),
    "a request without time": (request(timeoutSeconds=0), ".http.timeoutSeconds", "should be greater than 0"),
    "a request of more than a day": (request(timeoutSeconds=86401), ".http.timeoutSeconds", "86400"),
    "a time-out in words": (
        request(timeoutSeconds="30s"),
        ".http.timeoutSeconds",
        "match '^[0-9.]+$|{{'",
    ),
    "a repetition without a condition": (request(until={}), ".http.until.condition", "Required"),
    "a repetition without a pause": (
        request(until={"condition": "x", "intervalSeconds": 0}),
        ".http.until.intervalSeconds",
        "should be greater than 0",
    ),
    "a repetition without time": (
        request(until={"condition": "x", "timeoutSeconds": 0}),
        ".http.until.timeoutSeconds",
        "should be greater than 0",
    ),
    "a wait for nothing": ({"name": "a", "wait": {}}, ".wait.signal", "Required"),
    "a wait for a signal with a slash": (wait(signal="a/b"), ".wait.signal", "should match"),
    "a wait after no name": (wait(after="Deploy Slice"), ".wait.after", "should match"),
    "a wait without time": (wait(timeoutSeconds=0), ".wait.timeoutSeconds", "should be greater than 0"),
    "a sleep of no length": ({"name": "a", "sleep": {}}, ".sleep", "exactly one of seconds and untilSeconds"),
    "a sleep of two lengths": (
        {"name": "a", "sleep": {"seconds": 1, "untilSeconds": 1}},
        ".sleep",
        "exactly one of seconds and untilSeconds",
    ),
    "a negative sleep": ({"name": "a", "sleep": {"seconds": -1}}, ".sleep.seconds", "or equal to 0"),
    "a sleep until before the start": (
        {"name": "a", "sleep": {"untilSeconds": -1}},
        ".sleep.untilSeconds",
        "or equal to 0",
    ),
    "a sleep of more than ten years": (
        {"name": "a", "sleep": {"seconds": 315360001}},
        ".sleep.seconds",
        "or equal to 315360000",
    ),
    "a program without a name": (run(command=[]), ".exec.command", "at least 1"),
    "no program": ({"name": "a", "exec": {}}, ".exec.command", "Required"),
    "a program as one string": (run(command="true"), ".exec.command", "array"),
    "a program with 65 words": (run(command=["x"] * 65), ".exec.command", "64"),
    "a word of more than 32 KiB": (run(command=["x" * 32769]), ".exec.command[0]", "32768"),
    "a variable that is a number": (run(env={"A": 1}), ".exec.env.A", "string"),
    "a program without time": (run(timeoutSeconds=0), ".exec.timeoutSeconds", "should be greater than 0"),
}


@pytest.mark.parametrize(("bad", "field", "saying"), BAD_ACTIVITIES.values(), ids=BAD_ACTIVITIES.keys())
def test_an_activity_may_not_have(api, bad, field, saying):
    said = api.refusal(plan(bad))

    assert f"spec.activities[0]{field}" in said
    assert saying in said


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
