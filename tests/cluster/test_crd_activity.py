"""What the API server refuses in an activity, and which URLs it accepts."""

import pytest
from tests.cluster.crd_api import Api, pause, plan, request, run, wait


@pytest.fixture(scope="module")
def api(cluster):
    return Api(cluster)


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
