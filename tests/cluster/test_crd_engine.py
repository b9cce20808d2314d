"""What the API server itself refuses in a TrialEngine and in the statuses that operator and engine write."""

import uuid

import pytest
from tests.cluster.crd_api import NOW, Api, engine, pause, trial


@pytest.fixture(scope="module")
def api(cluster):
    return Api(cluster)


GRANTED = {"podRef": {"name": "kept-1", "uid": "u", "notBefore": NOW}}


@pytest.fixture(scope="module")
def kept_engine(api):
    """Return the name of a TrialEngine in `default` on which changes are refused."""
    name = f"kept-{uuid.uuid4().hex[:8]}"
    given = engine(name, parameters=[{"name": "a", "value": "1"}], engine={"template": {"spec": {"a": 1}}})
    api.admit(given, dry_run=False)
    yield name
    api.delete("TrialEngine", "default", name)


@pytest.fixture(scope="module")
def granted_engine(api):
    """Return the name of a TrialEngine in `default` of which an attempt is granted."""
    name = f"granted-{uuid.uuid4().hex[:8]}"
    given = engine(name, parameters=[{"name": "a", "value": "1"}], engine={"template": {"spec": {"a": 1}}})
    api.admit(given, dry_run=False)
    api.patch_status("TrialEngine", "default", name, GRANTED)
    yield name
    api.delete("TrialEngine", "default", name)


@pytest.fixture(scope="module")
def kept_trial(api):
    """Return the name of a Trial in `default` on which changes are refused."""
    name = f"kept-{uuid.uuid4().hex[:8]}"
    api.admit(trial(name), dry_run=False)
    yield name
    api.delete("Trial", "default", name)


REFUSED = {
    "no trial ID": (engine(trialID=None), "spec.trialID: Required"),
    "no UID of its trial": (engine(trialUID=None), "spec.trialUID: Required"),
    "no generation": (engine(trialGeneration=None), "spec.trialGeneration: Required"),
    "a generation of nought": (engine(trialGeneration=0), "spec.trialGeneration"),
    "no start time": (engine(startTime=None), "spec.startTime: Required"),
    "no activities": (engine(activities=None), "spec.activities: Required"),
    "a parameter without a value": (
        engine(parameters=[{"name": "a"}]),
        "spec.parameters[0]: Invalid value: exactly one of value and secretKeyRef must be set",
    ),
    "a parameter with a value and a Secret": (
        engine(parameters=[{"name": "a", "value": "", "secretKeyRef": {"name": "s", "key": "k"}}]),
        "spec.parameters[0]: Invalid value: exactly one of value and secretKeyRef must be set",
    ),
    "a parameter twice": (
        engine(parameters=[{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]),
        "spec.parameters[1]: Duplicate value",
    ),
    "a plan by name": (engine(planRef={"name": "default"}), "spec.planRef"),
}


@pytest.mark.parametrize(("bad", "saying"), REFUSED.values(), ids=REFUSED.keys())
def test_the_api_server_refuses_an_engine_with(api, bad, saying):
    assert saying in api.refusal(bad)


CHANGES = pytest.mark.parametrize(
    "change",
    [
        pytest.param({"activities": [pause("first"), pause("second")]}, id="another plan"),
        pytest.param({"finally": [pause("second")]}, id="something more in its plan"),
        pytest.param({"parameters": [{"name": "a", "value": "2"}]}, id="another value"),
        pytest.param({"engine": {"maxRestores": 3}}, id="other settings"),
        pytest.param({"engine": {"template": {"spec": {"hostNetwork": True}}}}, id="another template"),
        pytest.param({"parameters": None}, id="something less"),
        pytest.param({"trialGeneration": 2, "planGeneration": 2, "planUID": "p"}, id="another generation"),
    ],
)


@CHANGES
def test_the_spec_of_a_granted_engine_cannot_get(api, granted_engine, change):
    said = api.patch_refusal("TrialEngine", "default", granted_engine, {"spec": change})

    assert "spec: Forbidden: spec of a TrialEngine can't be changed while an attempt is granted" in said


@CHANGES
def test_the_spec_of_an_engine_that_nobody_is_granted_can_get(api, namespace, change):
    given = engine("free", parameters=[{"name": "a", "value": "1"}])
    api.admit(given, namespace, dry_run=False)
    assert api.patch("TrialEngine", namespace, "free", {"spec": change})["metadata"]["generation"] == 2

    api.patch_status("TrialEngine", namespace, "free", GRANTED)
    again = {"spec": {"trialGeneration": 9}}
    assert "while an attempt is granted" in api.patch_refusal("TrialEngine", namespace, "free", again)
    api.patch_status_raw("TrialEngine", namespace, "free", {"status": {"podRef": None}})
    assert api.patch("TrialEngine", namespace, "free", again)["metadata"]["generation"] == 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"trialID": "other"}, id="trial ID"),
        pytest.param({"trialUID": "other"}, id="trial's UID"),
        pytest.param({"startTime": "2099-01-01T00:00:00Z"}, id="start time"),
    ],
)
def test_no_engine_granted_or_not_gets_another(api, granted_engine, namespace, change):
    api.admit(engine("free"), namespace, dry_run=False)
    why = "spec: Forbidden: trialID, trialUID and startTime of a TrialEngine can't be changed"
    assert why in api.patch_refusal("TrialEngine", namespace, "free", {"spec": change})
    assert why in api.patch_refusal("TrialEngine", "default", granted_engine, {"spec": change})


FULL_STATUS = {
    "phase": "Running",
    "attempt": 2,
    "podRef": {"name": "kept-2", "uid": "u", "notBefore": NOW},
    "planGeneration": 3,
    "pendingPlan": {
        "trialGeneration": 4,
        "planGeneration": 2,
        "planUID": "p",
        "requests": [{"id": "r1", "onTrial": True}, {"id": "r2"}],
    },
    "activities": [
        {
            "name": "first",
            "state": "Succeeded",
            "run": 1,
            "startTime": NOW,
            "completionTime": NOW,
            "output": {"slice": {"id": 5, "parts": [None, "x"]}},
            "message": "done",
        },
        {"name": "second", "state": "Running", "run": 2},
    ],
    "checkpoint": {"version": 1, "sequence": 7, "activity": "first", "savedTime": NOW},
    "values": {"kpiLabel": "Idle"},
    "signals": [{"id": "s1", "name": "slice", "receivedTime": NOW}],
    "consumedSignals": [{"id": "s1", "activity": "first"}],
    "trialRequests": [{"type": "Restore", "id": "r1", "time": NOW, "result": "Done", "message": ""}],
    "callbackTokens": [{"hash": "0" * 64, "expirationTime": NOW}],
    "stop": {"mode": "GiveUp", "requestTime": NOW, "completionTime": NOW},
    "attempts": [
        {"number": 1, "reason": "Started", "startTime": NOW, "completionTime": NOW, "outcome": "Failed"},
        {"number": 2, "reason": "Restored", "fromActivity": "second", "message": "as asked"},
    ],
    "attemptsTotal": 2,
    "lastHandledRestore": {"id": "r1", "time": NOW, "result": "Merged", "message": "by the first grant"},
    "lastHandledDelete": {"id": "d1", "time": NOW, "result": "Refused"},
    "conditions": [
        {
            "type": "Succeeded",
            "status": "Unknown",
            "reason": "Running",
            "message": "",
            "lastTransitionTime": NOW,
            "observedGeneration": 1,
        }
    ],
}


def test_a_status_with_every_field_is_kept_and_the_engine_stays_selectable(api, namespace):
    api.admit(engine("kept"), namespace, dry_run=False)

    assert api.patch_status("TrialEngine", namespace, "kept", FULL_STATUS)["status"] == FULL_STATUS
    for selector in (
        "spec.trialID=example",
        "status.phase=Running",
        "spec.trialUID=11111111-2222-3333-4444-555555555555",
    ):
        assert api.names("TrialEngine", namespace, selector) == ["kept"]


def test_kubectl_shows_the_columns(api, cluster, namespace):
    api.admit(engine("kept"), namespace, dry_run=False)
    api.patch_status("TrialEngine", namespace, "kept", FULL_STATUS)

    table = cluster.kubectl("-n", namespace, "get", "lcmengine").stdout.splitlines()

    assert table[0].split() == ["NAME", "ID", "PHASE", "ATTEMPT", "ACTIVITY", "AGE"]
    assert table[1].split()[:-1] == ["kept", "example", "Running", "2", "first"]


ENGINE_STATUS_REFUSED = {
    "a phase that there is not": ({"phase": "Done"}, "status.phase"),
    "a pod without a UID": ({"podRef": {"name": "kept-1"}}, "status.podRef.uid"),
    "a state that there is not": (
        {"activities": [{"name": "a", "state": "Done"}]},
        "status.activities[0].state",
    ),
    "an activity twice": (
        {"activities": [{"name": "a", "state": "Failed"}, {"name": "a", "state": "Pending"}]},
        "status.activities[1]: Duplicate",
    ),
    "129 activities": (
        {"activities": [{"name": f"a{n}", "state": "Pending"} for n in range(129)]},
        "status.activities: Too many",
    ),
    "a negative sequence": (
        {"checkpoint": {"version": 1, "sequence": -1, "savedTime": NOW}},
        "status.checkpoint.sequence",
    ),
    "a checkpoint without a version": (
        {"checkpoint": {"sequence": 1, "savedTime": NOW}},
        "status.checkpoint.version",
    ),
    "a signal twice": (
        {"signals": [{"id": "a", "name": "b", "receivedTime": NOW}] * 2},
        "status.signals[1]: Duplicate",
    ),
    "a time without an offset": (
        {"stop": {"mode": "Cancel", "requestTime": "2026-11-24T10:00:00"}},
        "status.stop.requestTime",
    ),
    "a stop that there is not": ({"stop": {"mode": "Kill", "requestTime": NOW}}, "status.stop.mode"),
    "21 attempts": (
        {"attempts": [{"number": n, "reason": "Started"} for n in range(1, 22)]},
        "status.attempts: Too many",
    ),
    "21 requests": (
        {"trialRequests": [{"type": "Delete", "id": "a", "time": NOW, "result": "Done"}] * 21},
        "status.trialRequests: Too many",
    ),
    "a request that there is not": (
        {"trialRequests": [{"type": "Start", "id": "a", "time": NOW, "result": "Done"}]},
        "status.trialRequests[0].type",
    ),
    "a result that there is not": (
        {"lastHandledRestore": {"id": "a", "time": NOW, "result": "Perhaps"}},
        "status.lastHandledRestore.result",
    ),
    "a condition twice": ({"conditions": FULL_STATUS["conditions"] * 2}, "status.conditions[1]: Duplicate"),
}


@pytest.mark.parametrize(
    ("status", "saying"), ENGINE_STATUS_REFUSED.values(), ids=ENGINE_STATUS_REFUSED.keys()
)
def test_the_status_of_an_engine_may_not_have(api, kept_engine, status, saying):
    assert saying in api.status_refusal("TrialEngine", "default", kept_engine, status)


def test_the_status_of_a_trial_keeps_every_field(api, namespace):
    api.admit(trial("kept"), namespace, dry_run=False)
    status = {
        "observedGeneration": 1,
        "trialID": "kept",
        "phase": "Succeeded",
        "startTime": NOW,
        "startedTime": NOW,
        "startLagMilliseconds": 12,
        "firstActivityLagMilliseconds": -3,
        "engineRef": {"name": "kept", "uid": "u"},
        "planGeneration": 3,
        "progress": "5/5",
        "registryMoves": [{"from": NOW, "to": NOW, "time": NOW}] * 5,
        "missed": [
            {"startTime": NOW, "missedTime": NOW, "lateMilliseconds": 9, "reason": "TooLate", "message": "x"}
        ]
        * 5,
        "lastHandledRestore": FULL_STATUS["lastHandledRestore"],
        "lastHandledDelete": FULL_STATUS["lastHandledDelete"],
        "conditions": FULL_STATUS["conditions"],
    }

    assert api.patch_status("Trial", namespace, "kept", status)["status"] == status


TRIAL_STATUS_REFUSED = {
    "a phase that there is not": ({"phase": "Started"}, "status.phase"),
    "an engine without a UID": ({"engineRef": {"name": "a"}}, "status.engineRef.uid"),
    "a latch that is no time": ({"startedTime": "now"}, "status.startedTime"),
    "six missed starts": (
        {"missed": [{"startTime": NOW, "missedTime": NOW, "lateMilliseconds": 0, "reason": "TooLate"}] * 6},
        "status.missed: Too many",
    ),
    "six moves": ({"registryMoves": [{"to": NOW, "time": NOW}] * 6}, "status.registryMoves: Too many"),
    "a condition without a reason": (
        {"conditions": [FULL_STATUS["conditions"][0] | {"reason": ""}]},
        "status.conditions[0].reason",
    ),
    "a condition whose reason is a sentence": (
        {"conditions": [FULL_STATUS["conditions"][0] | {"reason": "It went wrong."}]},
        "status.conditions[0].reason",
    ),
    "a condition whose type is a sentence": (
        {"conditions": [FULL_STATUS["conditions"][0] | {"type": "It went wrong."}]},
        "status.conditions[0].type",
    ),
    "a condition that is neither": (
        {"conditions": [FULL_STATUS["conditions"][0] | {"status": "Maybe"}]},
        "status.conditions[0].status",
    ),
}


@pytest.mark.parametrize(("status", "saying"), TRIAL_STATUS_REFUSED.values(), ids=TRIAL_STATUS_REFUSED.keys())
def test_the_status_of_a_trial_may_not_have(api, kept_trial, status, saying):
    assert saying in api.status_refusal("Trial", "default", kept_trial, status)
