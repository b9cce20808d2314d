"""kubectl shows at once which request annotations would have no effect, and what was probably meant."""

import json
from collections.abc import Callable

import pytest

from devcluster.cluster.cluster import Cluster
from devcluster.waiting import wait_until

GROUP = "lcm.5gdrones.eu"
RESTORE, FROM, PLAN, DELETE = (
    f"{GROUP}/{name}" for name in ("restore", "restore-from", "restore-plan", "delete")
)
SPEC = {
    "startTime": "2031-01-01T10:00:00Z",
    "activities": [{"name": name, "sleep": {"seconds": 1}} for name in ("prepare", "fly")],
}
Kubectl = Callable[..., str]


def manifest(kind: str, name: str, spec: dict) -> str:
    return json.dumps(
        {"apiVersion": f"{GROUP}/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    )


@pytest.fixture
def kubectl(cluster: Cluster, namespace: str) -> Kubectl:
    """Run kubectl on a namespace with the Trial `t`; return what it prints to standard error."""

    def run(*arguments: str, stdin: str | None = None) -> str:
        return cluster.kubectl(*arguments, f"--namespace={namespace}", stdin=stdin).stderr

    run("create", "--filename=-", stdin=manifest("Trial", "t", SPEC))
    probe = ("annotate", "--dry-run=server", "trial", "t", f"{GROUP}/probe=x")
    assert wait_until(lambda: "Warning" in run(*probe), seconds=60)  # a new policy counts after a moment
    return run


@pytest.mark.parametrize(
    ("annotations", "warning"),
    [
        pytest.param(
            [f"{GROUP}/restor=x"], f"annotation {GROUP}/restor, did you mean {RESTORE}?", id="restor"
        ),
        pytest.param([f"{GROUP}/Restore=x"], f"did you mean {RESTORE}?", id="Restore"),
        pytest.param([f"{GROUP}/retsore=x"], f"did you mean {RESTORE}?", id="retsore"),
        pytest.param([f"{GROUP}/restart=x"], f"did you mean {RESTORE}?", id="restart"),
        pytest.param([f"{GROUP}/restoreFrom=x"], f"did you mean {FROM}?", id="restoreFrom"),
        pytest.param([f"{GROUP}/replan=x"], f"did you mean {PLAN}?", id="replan"),
        pytest.param([f"{GROUP}/delet=x"], f"did you mean {DELETE}?", id="delet"),
        pytest.param([f"{GROUP}/cancel=x"], f"did you mean {DELETE}?", id="cancel"),
        pytest.param([f"{GROUP}/foo=x"], f"known are {RESTORE}, {FROM}, {PLAN}, {DELETE}", id="foo"),
        pytest.param(["lcm.5gdrones.com/restore=x"], f"did you mean {RESTORE}?", id="another domain"),
        pytest.param(["5gdrones.eu/delete=x"], f"did you mean {DELETE}?", id="half a domain"),
        pytest.param(["restore=x"], f"annotation restore, did you mean {RESTORE}?", id="no domain"),
        pytest.param([f"{RESTORE}="], f"annotation {RESTORE} is empty, so nothing happens", id="empty"),
        pytest.param([f"{DELETE}= "], f"annotation {DELETE} is empty, so nothing happens", id="blank"),
        pytest.param(
            [f"{RESTORE}=a", f"{FROM}=fly"],
            "must be <request ID>/<activity>, such as second/prepare, got fly",
            id="no ID",
        ),
        pytest.param(
            [f"{FROM}=a/fly"], f"is ignored until annotation {RESTORE} has the same request ID, a", id="alone"
        ),
        pytest.param(
            [f"{PLAN}=a"],
            f"{PLAN} is ignored until annotation {RESTORE} has the same request ID, a",
            id="restore-plan alone",
        ),
        pytest.param(
            [f"{RESTORE}=a", f"{FROM}=b/fly"], "has the same request ID, b", id="of another request"
        ),
        pytest.param(
            [f"{RESTORE}=a", f"{FROM}=a/fyl"],
            "the plan has no activity fyl; its activities are prepare, fly",
            id="typo",
        ),
    ],
)
def test_kubectl_warns_about_an_annotation_without_effect(kubectl: Kubectl, annotations, warning):
    warned = kubectl("annotate", "trial", "t", *annotations)

    assert "Warning" in warned
    assert warning in warned


@pytest.mark.parametrize(
    "annotations",
    [
        pytest.param([f"{RESTORE}=a"], id="restore"),
        pytest.param([f"{RESTORE}=a/b", f"{FROM}=a/b/fly"], id="restore-from"),
        pytest.param([f"{RESTORE}=a", f"{PLAN}=a"], id="restore-plan"),
        pytest.param([f"{DELETE}=a"], id="delete"),
        pytest.param([f"{GROUP}/registry-start-time=2031-01-01T10:00:00Z"], id="of the operator"),
        pytest.param(["example.org/restore=x", "team=lcm"], id="of others"),
    ],
)
def test_kubectl_is_silent_about_annotations_with_an_effect(kubectl: Kubectl, annotations):
    assert kubectl("annotate", "trial", "t", *annotations) == ""


def answered(kubectl: Kubectl, request: str) -> None:
    """Answer a request as the operator does."""
    field = "lastHandledRestore" if request == RESTORE else "lastHandledDelete"
    answer = {"id": "first", "time": "2026-11-24T10:00:00Z", "result": "Done", "message": "done"}
    patch = json.dumps({"status": {field: answer}})
    kubectl("patch", "trial", "t", "--subresource=status", "--type=merge", f"--patch={patch}")


@pytest.mark.parametrize("request_key", [RESTORE, DELETE])
def test_a_repeated_request_id_is_warned_about_and_a_new_one_is_not(kubectl: Kubectl, request_key: str):
    kubectl("annotate", "trial", "t", f"{request_key}=first")
    answered(kubectl, request_key)

    again = kubectl("annotate", "--overwrite", "trial", "t", f"{request_key}=first")
    other_change = kubectl("patch", "trial", "t", "--type=merge", '--patch={"spec":{"suspend":true}}')
    new = kubectl("annotate", "--overwrite", "trial", "t", f"{request_key}=second")
    back = kubectl("annotate", "--overwrite", "trial", "t", f"{request_key}=first")

    assert "request first was handled already (Done); use a new request ID" in again
    assert "request first was handled already (Done); use a new request ID" in back
    assert (other_change, new) == ("", "")


def test_a_warning_is_given_once_not_at_every_later_change(kubectl: Kubectl):
    assert "Warning" in kubectl("annotate", "trial", "t", f"{GROUP}/restor=x")
    assert kubectl("patch", "trial", "t", "--type=merge", '--patch={"spec":{"suspend":true}}') == ""


def test_a_request_as_a_label_is_warned_about(kubectl: Kubectl):
    assert f"label {RESTORE} has no effect" in kubectl("label", "trial", "t", f"{RESTORE}=x")


def test_a_new_trial_with_an_unknown_annotation_is_warned_about(kubectl: Kubectl):
    trial = json.loads(manifest("Trial", "new", SPEC))
    trial["metadata"]["annotations"] = {f"{GROUP}/Delete": "x"}

    assert f"did you mean {DELETE}?" in kubectl("create", "--filename=-", stdin=json.dumps(trial))


@pytest.mark.parametrize(
    ("annotation", "warning"),
    [
        pytest.param(f"{GROUP}/synch=1", f"did you mean {GROUP}/sync?", id="a typo"),
        pytest.param("sync=1", f"did you mean {GROUP}/sync?", id="no domain"),
        pytest.param(f"{GROUP}/sync=", "is empty, so nothing happens", id="empty"),
        pytest.param(f"{GROUP}/sync=1", "", id="right"),
    ],
)
def test_annotations_of_a_registry(kubectl: Kubectl, annotation: str, warning: str):
    kubectl("create", "--filename=-", stdin=manifest("TrialRegistry", "r", {"url": "http://registry"}))
    warned = kubectl("annotate", "trialregistry", "r", annotation)

    assert warning in warned
    assert bool(warned) == bool(warning)


def test_the_expressions_of_the_policies_fit_the_kinds(cluster: Cluster, kubectl: Kubectl):
    del kubectl

    def checked() -> list[dict]:
        policies = cluster.kubectl.get("validatingadmissionpolicies")["items"]
        ours = [policy for policy in policies if policy["metadata"]["name"].endswith("-annotations")]
        return [policy["status"] for policy in ours if "observedGeneration" in policy.get("status", {})]

    assert wait_until(lambda: len(checked()) == 2, seconds=60)
    assert [status.get("typeChecking", {}) for status in checked()] == [{}, {}]
