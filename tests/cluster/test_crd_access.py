"""What the API server lets operator and engine do, by the manifests in deploy/rbac/."""

import pytest

OPERATOR = "system:serviceaccount:default:lcm-operator"
TRIALS, ENGINES, PLANS = (f"{kind}.lcm.5gdrones.eu" for kind in ("trials", "trialengines", "trialplans"))
LEASES = "leases.coordination.k8s.io"
ROLE_BINDINGS = "rolebindings.rbac.authorization.k8s.io"


def may(cluster, identity, namespace, request):
    """Ask about a request such as `patch pods/status` or `get pods NAME`."""
    verb, resource, *name = request.split()
    resource, _, subresource = resource.partition("/")
    where = (f"--subresource={subresource}", f"--namespace={namespace}", f"--as={identity}")
    return (
        cluster.kubectl(
            "auth", "can-i", verb, "/".join([resource, *name]), *where, check=False
        ).stdout.strip()
        == "yes"
    )


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(f"watch {TRIALS}", id="watch trials"),
        pytest.param(f"patch {TRIALS}/status", id="write the status of a trial"),
        pytest.param(f"create {TRIALS}", id="import a trial"),
        pytest.param("get secrets", id="read the credentials of a registry"),
        pytest.param("get configmaps", id="see whether a ConfigMap exists"),
        pytest.param(f"update {TRIALS}/finalizers", id="make a trial the owner of its engine"),
        pytest.param(f"create {ENGINES}", id="create an engine"),
        pytest.param(f"patch {ENGINES}/status", id="grant"),
        pytest.param(f"get {PLANS}", id="read a plan"),
        pytest.param("create pods", id="create a pod"),
        pytest.param("delete pods", id="delete a pod"),
        pytest.param(f"create {LEASES}", id="create a lease"),
        pytest.param("create events", id="tell an event"),
        pytest.param(f"get {ROLE_BINDINGS} lcm-engine", id="look for the engines' role binding"),
        pytest.param("get serviceaccounts lcm-engine", id="look for the engines' ServiceAccount"),
    ],
)
def test_the_operator_may(cluster, request_):
    assert may(cluster, OPERATOR, "kube-system", request_)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param("list secrets", id="list Secrets"),
        pytest.param("list configmaps", id="list ConfigMaps"),
        pytest.param("watch secrets", id="watch Secrets"),
        pytest.param(f"update {TRIALS}", id="replace a trial"),
        pytest.param(f"update {PLANS}", id="change a plan"),
        pytest.param("create pods/exec", id="run programs in a pod"),
        pytest.param("create serviceaccounts/token", id="make tokens"),
        pytest.param(f"get {ROLE_BINDINGS} other", id="read other role bindings"),
        pytest.param(f"create {ROLE_BINDINGS}", id="give rights away"),
        pytest.param("delete namespaces", id="delete a namespace"),
        pytest.param("patch customresourcedefinitions.apiextensions.k8s.io", id="change a CRD"),
    ],
)
def test_the_operator_may_not(cluster, request_):
    assert not may(cluster, OPERATOR, "kube-system", request_)


@pytest.mark.parametrize(
    ("request_", "allowed"),
    [
        pytest.param(f"get {ENGINES}", True, id="read engines"),
        pytest.param(f"patch {ENGINES}/status", True, id="save a checkpoint"),
        pytest.param(f"update {LEASES}", True, id="beat"),
        pytest.param(f"patch {ENGINES}", False, id="not annotate an engine"),
        pytest.param(f"delete {ENGINES}", False, id="not delete an engine"),
        pytest.param(f"get {TRIALS}", False, id="not read trials"),
        pytest.param(f"create {LEASES}", False, id="not create leases"),
        pytest.param("get secrets", False, id="not read a Secret"),
        pytest.param("get pods", False, id="not read pods"),
        pytest.param("create pods", False, id="not create pods"),
    ],
)
def test_an_engine_may(cluster, namespace, request_, allowed):
    assert may(cluster, f"system:serviceaccount:{namespace}:lcm-engine", namespace, request_) is allowed


def test_an_engine_may_nothing_in_another_namespace(cluster, namespace):
    assert not may(cluster, f"system:serviceaccount:{namespace}:lcm-engine", "kube-system", f"get {ENGINES}")
