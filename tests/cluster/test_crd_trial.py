"""What the API server itself refuses in a Trial, what it fills in, and what it finds by a field."""

import pytest
from tests.cluster.crd_api import NOW, START, Api, manifest, pause, trial


@pytest.fixture(scope="module")
def api(cluster):
    return Api(cluster)


@pytest.mark.parametrize(
    "trial_id",
    [
        pytest.param("a", id="one character"),
        pytest.param("x" * 253, id="253 characters"),
        pytest.param("ü" * 253, id="253 characters of two bytes"),
        pytest.param("🛩" * 253, id="253 characters of four bytes"),
        pytest.param("a trial of mine", id="blanks"),
        pytest.param(" ", id="a blank alone"),
        pytest.param("a/b/c", id="slashes"),
        pytest.param("%2F", id="a percent sign"),
        pytest.param("Größe Ünder", id="umlauts"),
        pytest.param("..", id="two points"),
        pytest.param('it\'s "quoted" `so`', id="quotation marks"),
        pytest.param("back\\slash", id="a backslash"),
        pytest.param("{{ trial }}", id="braces"),
        pytest.param("-", id="a dash"),
        pytest.param("5", id="a number in a string"),
        pytest.param("true", id="a boolean in a string"),
        pytest.param("\u202eabc", id="a direction mark"),
    ],
)
def test_a_trial_id_is_kept_as_it_is(api, trial_id):
    assert api.admit(trial(trialID=trial_id))["spec"]["trialID"] == trial_id


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a", id="one character"),
        pytest.param("a.b-c.d", id="a DNS subdomain"),
        pytest.param("1", id="a digit"),
        pytest.param("x" * 253, id="253 characters"),
    ],
)
def test_a_name_is_any_that_the_api_server_takes(api, name):
    assert api.admit(trial(name))["metadata"]["name"] == name


REFUSED = {
    "an empty trial ID": (trial(trialID=""), "spec.trialID", "at least 1"),
    "a trial ID of 254 characters": (trial(trialID="x" * 254), "spec.trialID", "253"),
    "254 characters of two bytes": (trial(trialID="ü" * 254), "spec.trialID", "253"),
    "a trial ID with a line feed": (trial(trialID="a\nb"), "spec.trialID", "should match"),
    "a trial ID with a line feed at its end": (trial(trialID="a\n"), "spec.trialID", "should match"),
    "a trial ID with a tab": (trial(trialID="a\tb"), "spec.trialID", "should match"),
    "a trial ID with a NUL": (trial(trialID="a\0b"), "spec.trialID", "should match"),
    "a trial ID with DEL": (trial(trialID="a\x7fb"), "spec.trialID", "should match"),
    "a trial ID with a control character above ASCII": (
        trial(trialID="a\x85b"),
        "spec.trialID",
        "should match",
    ),
    "a trial ID that is a number": (trial(trialID=5), "spec.trialID", "string"),
    "neither start time nor registry": (
        trial(startTime=None),
        "spec.startTime",
        "exactly one of startTime and registryRef must be set",
    ),
    "start time and registry": (
        trial(registryRef={"name": "default"}),
        "spec.startTime",
        "exactly one of startTime and registryRef must be set",
    ),
    "a registry without a name": (trial(startTime=None, registryRef={}), "spec.registryRef.name", "Required"),
    "a registry with a name that no object can have": (
        trial(startTime=None, registryRef={"name": "A_B"}),
        "spec.registryRef.name",
        "should match",
    ),
    "a registry with too long a name": (
        trial(startTime=None, registryRef={"name": "x" * 254}),
        "spec.registryRef.name",
        "253",
    ),
    "a plan by name and inline": (
        trial(planRef={"name": "default"}, activities=[pause("one")]),
        "spec.planRef",
        "at most one of planRef and activities may be set",
    ),
    "a plan without a name": (trial(planRef={"name": ""}), "spec.planRef.name", "at least 1"),
    "onFailure without activities": (
        trial(onFailure=[pause("one")]),
        "spec.activities",
        "onFailure, finally and finishAt require activities beside them",
    ),
    "finally without activities": (
        trial(**{"finally": [pause("one")]}),
        "spec.activities",
        "onFailure, finally and finishAt require activities beside them",
    ),
    "finishAt without activities": (
        trial(finishAt="one"),
        "spec.activities",
        "onFailure, finally and finishAt require activities beside them",
    ),
    "finally beside a plan by name": (
        trial(planRef={"name": "default"}, **{"finally": [pause("one")]}),
        "spec.activities",
        "require activities beside them",
    ),
    "no activity in activities": (trial(activities=[]), "spec.activities", "at least 1"),
    "a negative deadline": (
        trial(startingDeadlineSeconds=-1),
        "spec.startingDeadlineSeconds",
        "greater than or equal to 0",
    ),
    "a deadline of more than ten years": (
        trial(startingDeadlineSeconds=315360001),
        "spec.startingDeadlineSeconds",
        "315360000",
    ),
    "a deadline of half a second": (
        trial(startingDeadlineSeconds=0.5),
        "spec.startingDeadlineSeconds",
        "integer",
    ),
    "a deadline in words": (trial(startingDeadlineSeconds="2m"), "spec.startingDeadlineSeconds", "integer"),
    "suspend in words": (trial(suspend="yes"), "spec.suspend", "boolean"),
    "a parameter that is a number": (trial(parameters={"port": 80}), "spec.parameters.port", "string"),
    "a parameter without a name": (trial(parameters={"": "x"}), "spec.parameters", "1 to 128 characters"),
    "a parameter with too long a name": (
        trial(parameters={"x" * 129: "x"}),
        "spec.parameters",
        "1 to 128 characters",
    ),
    "a parameter with too long a value": (trial(parameters={"a": "x" * 65537}), "spec.parameters.a", "65536"),
    "257 parameters": (trial(parameters={f"p{n}": "" for n in range(257)}), "spec.parameters", "256"),
    "a negative time to live": (
        trial(ttlSecondsAfterFinished=-1),
        "spec.ttlSecondsAfterFinished",
        "greater than or equal to 0",
    ),
    "a misspelt field": (trial(startingDeadline=5), "spec.startingDeadline", "unknown field"),
    "no spec": (manifest("Trial", None), "spec", "Required"),
    "an empty spec": (manifest("Trial", {}), "spec.startTime", "exactly one of"),
    "a spec that is a list": (manifest("Trial", []), "spec", "object"),
}


@pytest.mark.parametrize(("bad", "field", "saying"), REFUSED.values(), ids=REFUSED.keys())
def test_the_api_server_refuses_a_trial_with(api, bad, field, saying):
    said = api.refusal(bad)

    assert field in said
    assert saying in said


ENGINE_REFUSED = {
    "a heartbeat time-out of nought": ({"heartbeatTimeoutSeconds": 0}, "heartbeatTimeoutSeconds"),
    "a heartbeat time-out of more than a day": (
        {"heartbeatTimeoutSeconds": 86401},
        "heartbeatTimeoutSeconds",
    ),
    "fewer than no restores": ({"maxRestores": -1}, "maxRestores"),
    "more than a thousand restores": ({"maxRestores": 1001}, "maxRestores"),
    "no time to be active": ({"activeDeadlineSeconds": 0}, "activeDeadlineSeconds"),
    "no time for finally": ({"finallyTimeoutSeconds": 0}, "finallyTimeoutSeconds"),
    "a negative warm-up": ({"warmupSeconds": -1}, "warmupSeconds"),
    "a warm-up of more than an hour": ({"warmupSeconds": 3601}, "warmupSeconds"),
    "a misspelt field": ({"maxRestore": 1}, "maxRestore"),
    "a template that is a string": ({"template": "x"}, "template"),
    "a label that is a number": (
        {"template": {"metadata": {"labels": {"a": 1}}}},
        "template.metadata.labels.a",
    ),
    "too long a label": (
        {"template": {"metadata": {"labels": {"a": "x" * 64}}}},
        "template.metadata.labels.a",
    ),
    "a label without a key": ({"template": {"metadata": {"labels": {"": "x"}}}}, "metadata.labels"),
    "an annotation of 318 characters": (
        {"template": {"metadata": {"annotations": {"x" * 318: ""}}}},
        "metadata.annotations",
    ),
    "a container with a name in capitals": (
        {"template": {"spec": {"containers": [{"name": "engine"}, {"name": "More"}]}}},
        "template.spec.containers[1].name",
    ),
    "no container": ({"template": {"spec": {"containers": []}}}, "template.spec.containers"),
    "no container named engine": (
        {"template": {"spec": {"containers": [{"name": "other"}]}}},
        "containers must contain one named engine",
    ),
    "two containers named engine": (
        {"template": {"spec": {"containers": [{"name": "engine"}, {"name": "engine"}]}}},
        "template.spec.containers[1]",
    ),
    "a container without a name": (
        {"template": {"spec": {"containers": [{"image": "x"}]}}},
        "template.spec.containers[0].name",
    ),
    "17 containers": (
        {
            "template": {
                "spec": {"containers": [{"name": n} for n in ["engine", *map("c{}".format, range(16))]]}
            }
        },
        "template.spec.containers",
    ),
}


@pytest.mark.parametrize(("settings", "saying"), ENGINE_REFUSED.values(), ids=ENGINE_REFUSED.keys())
def test_the_api_server_refuses_engine_settings_with(api, settings, saying):
    said = api.refusal(trial(engine=settings))

    assert "spec.engine" in said
    assert saying in said


def test_a_template_keeps_what_the_operator_has_to_judge(api):
    template = {
        "metadata": {"name": "mine", "labels": {"team": "a"}, "annotations": {"note": "b"}},
        "spec": {
            "hostNetwork": True,
            "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
            "containers": [
                {"name": "engine", "image": "x", "ports": [{"containerPort": 1}]},
                {"name": "more"},
            ],
        },
    }

    assert api.admit(trial(engine={"template": template}))["spec"]["engine"]["template"] == template


def test_a_template_needs_no_containers(api):
    template = {"spec": {"nodeSelector": {"site": "oulu"}}}

    assert api.admit(trial(engine={"template": template}))["spec"]["engine"]["template"] == template


def test_defaults_are_filled_in(api):
    assert api.admit(trial())["spec"] == {
        "startTime": START,
        "startingDeadlineSeconds": 120,
        "suspend": False,
    }


def test_a_status_in_a_new_manifest_is_not_taken(api):
    made = api.admit(trial() | {"status": {"phase": "Succeeded", "startedTime": NOW}})
    assert made["status"] == {"observedGeneration": -1}, "nobody has seen it yet"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("one", "two", id="changed"),
        pytest.param("one", "One", id="changed in case"),
        pytest.param(None, "fixed", id="added, even if equal to the name"),
        pytest.param("one", None, id="removed"),
    ],
)
def test_a_trial_id_cannot_be(api, namespace, before, after):
    api.admit(trial("fixed", trialID=before), namespace, dry_run=False)

    said = api.patch_refusal("Trial", namespace, "fixed", {"spec": {"trialID": after}})

    assert "spec.trialID: Forbidden: trialID can't be changed, added or removed after creation" in said


def test_a_trial_that_has_not_started_can_be_changed(api, namespace):
    api.admit(trial("open", trialID="one"), namespace, dry_run=False)
    api.patch_status("Trial", namespace, "open", {"phase": "Scheduled", "trialID": "one"})

    change = {
        "startTime": None,
        "registryRef": {"name": "default"},
        "suspend": True,
        "parameters": {"a": "b"},
    }
    spec = api.patch("Trial", namespace, "open", {"spec": change})["spec"]

    assert "startTime" not in spec
    assert spec["registryRef"] == {"name": "default"}
    assert spec["suspend"] is True


def test_each_field_that_can_be_selected_finds_its_trial(api, namespace):
    api.admit(trial("first", trialID="A B/ü", planRef={"name": "short"}), namespace, dry_run=False)
    api.admit(trial("second", startTime=None, registryRef={"name": "default"}), namespace, dry_run=False)
    api.patch_status("Trial", namespace, "second", {"trialID": "second", "phase": "Scheduled"})

    found = {
        selector: api.names("Trial", namespace, selector)
        for selector in (
            "spec.trialID=A B/ü",
            "spec.trialID=a b/ü",
            "spec.planRef.name=short",
            "spec.registryRef.name=default",
            "status.trialID=second",
            "status.phase=Scheduled",
        )
    }

    assert found == {
        "spec.trialID=A B/ü": ["first"],
        "spec.trialID=a b/ü": [],
        "spec.planRef.name=short": ["first"],
        "spec.registryRef.name=default": ["second"],
        "status.trialID=second": ["second"],
        "status.phase=Scheduled": ["second"],
    }


def test_kubectl_shows_the_columns_by_category_and_short_name(api, cluster, namespace):
    api.admit(trial("shown"), namespace, dry_run=False)
    api.patch_status(
        "Trial",
        namespace,
        "shown",
        {
            "trialID": "shown",
            "startTime": "2099-01-01T00:00:00Z",
            "phase": "Running",
            "ready": "True",
            "progress": "3/5",
            "startLagMilliseconds": 12,
            "plan": "flight",
            "attempt": 2,
            "firstActivityLagMilliseconds": 150,
            "message": "attempt 2 is running",
        },
    )

    for word in ("lcmtrial", "lcm"):
        table = cluster.kubectl("-n", namespace, "get", word).stdout.splitlines()
        assert table[0].split() == [
            "NAME", "ID", "START", "PHASE", "READY", "PROGRESS", "LAG", "(MS)", "AGE"
        ]  # fmt: skip
        assert table[1].split()[1:-1] == ["shown", "2099-01-01T00:00:00Z", "Running", "True", "3/5", "12"]
    wide = cluster.kubectl("-n", namespace, "get", "trials", "-o", "wide").stdout.splitlines()
    assert wide[0].split()[9:] == ["PLAN", "ATTEMPT", "FIRST", "(MS)", "MESSAGE"]
    assert wide[1].split()[8:] == ["flight", "2", "150", "attempt", "2", "is", "running"]
