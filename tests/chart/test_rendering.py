"""What the chart renders, whatever the values: linted, judged, least privilege, no surprise."""

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.chart.conftest import CASES, NAMESPACE, Helm
from tools.chart.generate import CHART

ROLES = ("Role", "ClusterRole")
ELECTION = "lcm-home-lcm-lcm-operator-election"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
# What Kubernetes itself defines, which the API server judges, and what a parent chart shares.
FREE = {"kubernetes", "global"}


def rules(objects):
    return [(role, rule) for role in objects if role["kind"] in ROLES for rule in role["rules"]]


def without_key(objects):
    """Return the objects without the key that is made anew in each rendering."""
    return [found for found in objects if found["kind"] != "Secret"]


def pod_specs(objects) -> Iterator[dict[str, Any]]:
    for found in objects:
        if found["kind"] == "Pod":
            yield found["spec"]
        elif found["kind"] in {"Deployment", "Job"}:
            yield found["spec"]["template"]["spec"]


def test_helm_finds_nothing_to_mend(helm: Helm, values):
    done = helm("lint", values, "--strict")

    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


def test_helm_3_and_helm_4_render_the_same(helm: Helm, helm3: Helm, values):
    assert without_key(helm3.objects(values)) == without_key(helm.objects(values))


def test_kube_score_finds_nothing_to_mend(helm: Helm, values, kube_score):
    # Not asked of it: a CPU limit (throttling makes starts late), a pull of the image at every start (a tag
    # or a digest stands for one content), and the type of the Service (that is the user's choice).
    ignored = ("container-image-pull-policy", "service-type")
    judge = [str(kube_score), "score", "--kubernetes-version=v1.33", "--ignore-container-cpu-limit"]
    done = subprocess.run(
        [*judge, *(f"--ignore-test={test}" for test in ignored), "-o=ci", "-"],
        input=yaml.safe_dump_all(pod_network(helm.objects(values), values)),
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if not line.startswith(("[OK]", "[SKIPPED]"))]

    assert done.stdout.count("[OK]") > 10
    assert found == []


def pod_network(objects, values):
    """Return the objects, with a policy of the user's own where the values leave out the chart's."""
    if values.get("networkPolicy", {}).get("enabled", True):
        return objects
    everything = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "own", "namespace": NAMESPACE},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }
    return [*objects, everything]


def test_no_role_has_a_wildcard_or_gives_rights_away(helm: Helm, values):
    for role, rule in rules(helm.objects(values)):
        named = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert not named & {"*", "escalate", "bind", "impersonate"}, role["metadata"]["name"]
        assert not named & {"roles", "clusterroles", "pods/exec", "serviceaccounts/token"}


def test_no_role_lists_secrets(helm: Helm, values):
    verbs = [rule["verbs"] for _, rule in rules(helm.objects(values)) if "secrets" in rule["resources"]]

    assert verbs
    assert all(found == ["get"] for found in verbs)


def test_only_edit_and_admin_of_the_cluster_s_roles_create_trials(helm: Helm):
    labels = [
        {key for key in role["metadata"]["labels"] if "aggregate-to" in key}
        for role, rule in rules(helm.objects({}))
        if "trials" in rule["resources"] and "create" in rule["verbs"] and role["kind"] == "ClusterRole"
    ]
    prefix = "rbac.authorization.k8s.io/aggregate-to"

    assert [found for found in labels if found] == [{f"{prefix}-edit", f"{prefix}-admin"}]


def test_without_cluster_wide_the_operator_has_rights_in_its_namespaces_only(helm: Helm):
    objects = helm.objects(
        {"watchNamespaces": ["lab"], "aggregateRoles": False, "rest": {"standalone": True}}
    )
    bound = [
        (found["kind"], found["metadata"].get("namespace"))
        for found in objects
        if found["kind"].endswith("RoleBinding") and found["subjects"][0]["name"] == "lcm-lcm-operator"
    ]

    assert bound == [("RoleBinding", "lab"), ("RoleBinding", NAMESPACE), ("RoleBinding", ELECTION)]


def test_every_container_has_an_image_requests_and_a_limit_of_memory(helm: Helm, values):
    containers = [container for spec in pod_specs(helm.objects(values)) for container in spec["containers"]]

    assert len(containers) >= 3
    for container in containers:
        assert ":" in container["image"]
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


def test_a_generated_key_is_stored_with_its_hash(find):
    secret = find({}, "Secret", "lcm-lcm-operator-api-keys")
    key, line = (base64.b64decode(secret["data"][name]) for name in ("api-key", "keys"))

    assert len(key) >= 43
    assert line.decode() == f"operate default sha256:{hashlib.sha256(key).hexdigest()}\n"


def test_two_installations_have_different_keys(helm: Helm):
    first, second = (
        helm("template", {}, "lcm", "--show-only=templates/api-keys.yaml").stdout for _ in range(2)
    )

    assert "api-key:" in first
    assert first != second


def test_a_secret_of_the_user_s_own_takes_the_place_of_the_generated_one(helm: Helm):
    objects = helm.objects({"rest": {"existingSecret": "mine"}})

    assert [found for found in objects if found["kind"] == "Secret"] == []
    (operator,) = (found for found in objects if found["kind"] == "Deployment")
    secrets = [volume.get("secret") for volume in operator["spec"]["template"]["spec"]["volumes"]]
    assert {"secretName": "mine", "items": [{"key": "keys", "path": "keys"}]} in secrets


def test_the_crds_stay_when_the_release_is_deleted_by_default(helm: Helm):
    def policies(values):
        crds = [found for found in helm.objects(values) if found["kind"] == "CustomResourceDefinition"]
        return [found["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for found in crds]

    assert policies({}) == ["keep"] * 4
    assert policies({"crds": {"keep": False}}) == [None] * 4


def test_the_crds_are_those_of_deploy_crds(find):
    for file in (CHART / "files" / "crds").iterdir():
        shipped = yaml.safe_load(file.read_text(encoding="utf-8"))
        rendered = find({}, "CustomResourceDefinition", shipped["metadata"]["name"])
        del rendered["metadata"]["annotations"]["helm.sh/resource-policy"]
        shipped["metadata"].setdefault("annotations", {})
        assert rendered == shipped


def test_every_process_of_ours_logs_as_the_values_say(helm: Helm):
    objects = helm.objects({"logLevel": "DEBUG", "logFormat": "json"})
    containers = [found for spec in pod_specs(objects) for found in spec["containers"]]
    ours = {
        found["name"]: {entry["name"]: entry.get("value") for entry in found["env"]}
        for found in containers
        if found["command"][:2] == ["python", "-m"]
    }

    assert ours.keys() >= {"operator", "rest", "look"}
    for variables in ours.values():
        assert (variables["LCM_LOG_LEVEL"], variables["LCM_LOG_FORMAT"]) == ("DEBUG", "json")


def test_the_engines_account_is_in_every_namespace_for_trials(helm: Helm):
    objects = helm.objects({"watchNamespaces": ["lab-a", "lab-b"]})
    places = [
        found["metadata"]["namespace"]
        for found in objects
        if (found["kind"], found["metadata"]["name"]) == ("RoleBinding", "lcm-engine")
    ]

    assert places == ["lab-a", "lab-b", NAMESPACE]


def test_engines_cannot_write_the_election_lease_with_separate_namespaces(helm: Helm):
    objects = helm.objects({"trialNamespace": "lab-a", "watchNamespaces": ["lab-b"]})
    places = [
        found["metadata"]["namespace"]
        for found in objects
        if (found["kind"], found["metadata"]["name"]) == ("Role", "lcm-engine")
    ]

    assert places == ["lab-a", "lab-b"]


@pytest.mark.parametrize(
    ("values", "place", "made"),
    [
        pytest.param({}, ELECTION, True, id="the defaults"),
        pytest.param({"clusterWide": True}, ELECTION, True, id="cluster-wide"),
        pytest.param({"watchNamespaces": ["a"]}, ELECTION, True, id="more of them"),
        pytest.param({"trialNamespace": "a"}, None, False, id="trials elsewhere"),
        pytest.param({"operator": {"leaseNamespace": "b"}}, "b", False, id="one that exists"),
        pytest.param({"operator": {"leaseNamespace": NAMESPACE}}, None, False, id="chosen on purpose"),
    ],
)
def test_engines_cannot_reach_the_lease_of_the_election_by_default(helm: Helm, values, place, made):
    objects = helm.objects(values)
    (operator,) = (each for each in objects if each["kind"] == "Deployment")
    variables = operator["spec"]["template"]["spec"]["containers"][0]["env"]
    chosen = [each["value"] for each in variables if each["name"] == "LCM_LEASE_NAMESPACE"]
    assert chosen == ([place] if place else [])
    assert [each["metadata"]["name"] for each in objects if each["kind"] == "Namespace"] == [place] * made
    engines = {
        each["metadata"]["namespace"]
        for each in objects
        if (each["kind"], each["metadata"]["name"]) == ("Role", "lcm-engine")
    }
    by_hand = values.get("operator", {}).get("leaseNamespace") == NAMESPACE
    assert ((place or NAMESPACE) in engines) == by_hand


def test_the_lease_of_the_election_can_have_a_namespace_of_its_own(helm: Helm):
    objects = helm.objects({"operator": {"leaseNamespace": "lcm-election"}})
    (operator,) = (found for found in objects if found["kind"] == "Deployment")
    variables = {
        entry["name"]: entry.get("value")
        for entry in operator["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    roles = {
        (found["metadata"]["name"], found["metadata"]["namespace"])
        for found in objects
        if found["kind"] == "Role"
    }

    assert variables["LCM_LEASE_NAMESPACE"] == "lcm-election"
    assert ("lcm-lcm-operator", "lcm-election") in roles
    assert ("lcm-engine", "lcm-election") not in roles


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        pytest.param({}, "cannot start: their TrialPlan default (rest.defaultPlan) does not", id="none"),
        pytest.param(
            {"plans": {"demo": {"enabled": True}}, "rest": {"defaultPlan": "demo"}},
            "do nothing: their TrialPlan demo (rest.defaultPlan) only sleeps",
            id="one that only sleeps",
        ),
        pytest.param(
            {"plans": {"5gdrones": {"enabled": True}}, "rest": {"defaultPlan": "5gdrones"}}, "", id="a flight"
        ),
        pytest.param({"rest": {"enabled": False}}, "", id="no REST interface"),
    ],
)
def test_the_notes_warn_about_the_plan_of_trials_scheduled_by_rest(helm: Helm, values, warning):
    notes = helm.notes(values)

    assert "A first trial" in notes
    assert ("WARNING: trials scheduled by REST" in notes) == bool(warning)
    assert warning in notes


TLS = {"existingSecret": "tls"}
INGRESS = {"enabled": True, "host": "lcm.example"}
ROUTE = {"enabled": True, "parentRefs": [{"name": "outside"}]}


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        pytest.param({"rest": {"ingress": INGRESS}}, "the Ingress has no certificate", id="ingress"),
        pytest.param({"rest": {"ingress": INGRESS | {"tlsSecret": "tls"}}}, "", id="ingress with TLS"),
        pytest.param(
            {"rest": {"service": {"type": "NodePort"}}}, "of type NodePort serves plain http", id="node port"
        ),
        pytest.param(
            {"rest": {"service": {"type": "LoadBalancer"}}},
            "of type LoadBalancer serves plain http",
            id="balancer",
        ),
        pytest.param({"rest": {"service": {"type": "LoadBalancer"}, "tls": TLS}}, "", id="balancer with TLS"),
        pytest.param(
            {"rest": {"httpRoute": ROUTE, "tls": TLS}}, "needs a BackendTLSPolicy", id="route to TLS"
        ),
        pytest.param({"rest": {"httpRoute": ROUTE}}, "", id="route"),
        pytest.param(
            {"rest": {"autoscaling": {"enabled": True}}},
            "rest.autoscaling has no effect",
            id="scaled sidecar",
        ),
        pytest.param(
            {"rest": {"enabled": False, "ingress": INGRESS}},
            "have no effect without rest",
            id="ingress to nothing",
        ),
        pytest.param(
            {"monitoring": {"serviceMonitor": {"enabled": True}}},
            "block Prometheus",
            id="shut out Prometheus",
        ),
    ],
)
def test_the_notes_warn_about_values_that_do_not_fit_together(helm: Helm, values, warning):
    """Unencrypted keys, values without effect, connections that are blocked."""
    own = {"plans": {"5gdrones": {"enabled": True}}, "trialNamespace": "lab"}
    notes = helm.notes(own | values | {"rest": {"defaultPlan": "5gdrones"} | values.get("rest", {})})

    assert notes.count("WARNING") == bool(warning)
    assert warning in notes


def test_the_chart_creates_no_plan_by_default(helm: Helm):
    assert not [found for found in helm.objects({}) if found["kind"] == "TrialPlan"]


def test_a_parameter_that_a_plan_does_not_declare_is_refused(helm: Helm):
    done = helm("template", {"plans": {"demo": {"enabled": True, "parameters": {"speed": "9"}}}}, "lcm")

    assert done.returncode != 0
    assert "the plan declares no speed" in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"replica": 2}, id="at the top"),
        pytest.param({"rest": {"level": "0.1.1"}}, id="in a section"),
        pytest.param({"rest": {"ingress": {"hostnames": []}}}, id="deeper"),
        pytest.param({"plans": {"mine": {"enabled": True}}}, id="as a plan"),
        pytest.param({"tolerations": [{"keys": "a"}]}, id="in a list"),
        pytest.param({"trialRegistry": {"spec": {"uri": "http://a"}}}, id="in an object's spec"),
    ],
)
def test_an_unknown_value_is_refused(helm: Helm, wrong):
    done = helm("template", wrong, "lcm")

    assert done.returncode != 0
    assert "additional properties" in done.stderr


def objects_of(schema, path="") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each schema of an object with its path."""
    if schema.get("type") == "object" and path.rpartition(".")[2] not in FREE:
        yield path, schema
    for part in ("properties", "definitions"):
        for name, inner in schema.get(part, {}).items():
            yield from objects_of(inner, f"{path}.{name}")
    if "items" in schema:
        yield from objects_of(schema["items"], f"{path}[]")


def test_the_schema_lets_no_unknown_key_through_anywhere():
    found = dict(objects_of(SCHEMA))

    assert len(found) > 15
    assert [path for path, schema in found.items() if "additionalProperties" not in schema] == []
    assert {path for path, schema in found.items() if schema["additionalProperties"] is True} == set()


def test_the_cases_cover_the_values_that_change_what_is_there():
    assert {"clusterWide", "watchNamespaces", "trialNamespace", "rest", "crds", "networkPolicy"} <= {
        key for case in CASES.values() for key in case
    }
