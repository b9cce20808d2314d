"""Least privilege, as the manifests in deploy/rbac/ state it."""

from pathlib import Path

import pytest
import yaml

from devcluster.cluster.components import LEASE_NAMESPACE

RBAC = Path(__file__).parents[2] / "deploy" / "rbac"
FILES = ("operator.yaml", "engine.yaml", "rest.yaml")


def objects(file):
    return {found["kind"]: found for found in yaml.safe_load_all((RBAC / file).read_text(encoding="utf-8"))}


def rules(file):
    return [rule for found in objects(file).values() for rule in found.get("rules", [])]


@pytest.mark.parametrize("file", FILES)
def test_no_rule_has_a_wildcard(file):
    assert [rule for rule in rules(file) if "*" in str(rule)] == []


@pytest.mark.parametrize("file", FILES)
def test_nobody_gives_rights_away(file):
    resources = {resource for rule in rules(file) for resource in rule["resources"]}
    verbs = {verb for rule in rules(file) for verb in rule["verbs"]}

    assert not {"pods/exec", "serviceaccounts/token", "roles", "clusterroles"} & resources
    assert not {"escalate", "bind", "impersonate", "deletecollection"} & verbs


@pytest.mark.parametrize(
    ("file", "verbs"), [("operator.yaml", [["get"]]), ("rest.yaml", [["get"]]), ("engine.yaml", [])]
)
def test_secrets_are_read_by_name_by_registry_clients_and_never_listed(file, verbs):
    assert [rule["verbs"] for rule in rules(file) if "secrets" in rule["resources"]] == verbs


def test_sidecar_has_rights_in_its_namespace_only_but_for_token_reviews():
    assert objects("rest.yaml")["ClusterRole"]["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ]


@pytest.mark.parametrize("file", FILES)
def test_every_rule_says_why_it_is_there(file):
    lines = (RBAC / file).read_text(encoding="utf-8").splitlines()
    before = [lines[number - 1] for number, line in enumerate(lines) if line.startswith("- apiGroups:")]

    assert [line for line in before if not line.startswith("#")] == []
    assert len(before) == len(rules(file))


def test_the_names_are_the_ones_that_others_rely_on():
    operator, engine = objects("operator.yaml"), objects("engine.yaml")

    assert operator["ServiceAccount"]["metadata"] == {"name": "lcm-operator", "namespace": "default"}
    assert set(operator) == {"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"}
    assert operator["Namespace"]["metadata"] == {"name": LEASE_NAMESPACE}
    assert set(engine) == {"ServiceAccount", "Role", "RoleBinding"}
    assert {found["metadata"]["name"] for found in engine.values()} == {"lcm-engine"}


def test_the_engine_can_be_applied_to_any_namespace():
    assert "namespace:" not in (RBAC / "engine.yaml").read_text(encoding="utf-8")
