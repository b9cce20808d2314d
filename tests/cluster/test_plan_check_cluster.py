"""`lcm plan check --cluster`: what only a cluster knows, with the rights of its user."""

import json

import pytest
import yaml
from tests.unit.cli.manifests import PLAN, TRIAL

from lcm_operator.cli import plan_check
from lcm_operator.cli.cluster import Cluster, ClusterError
from lcm_operator.cli.cluster_check import ClusterCheck

STEP = "  activities:\n  - {name: a, sleep: {seconds: 1}}\n"
NEEDS = """\
  - {name: password, secretKeyRef: {name: partner, key: word}}
  activities:
  - name: a
    exec: {command: [x], files: [{name: x, configMapKeyRef: {name: programs, key: x}}]}
"""


@pytest.fixture
def check(cluster, namespace, tmp_path, capsys):
    """Check a text against the cluster; return the exit code and the lines, without the file's name."""

    def run(text, kubeconfig=cluster.kubeconfig):
        file = tmp_path / "plan.yaml"
        file.write_text(text)
        code = plan_check.run(str(file), cluster=ClusterCheck(Cluster(None, namespace, str(kubeconfig))))
        said = capsys.readouterr()
        return code, [line.removeprefix(f"{file}:") for line in (said.out + said.err).splitlines()]

    return run


def test_objects_that_a_plan_refers_to_are_looked_up(check, cluster, namespace):
    code, lines = check(PLAN + NEEDS)
    assert code == 1
    assert lines[0] == (
        f"7: spec.parameters[1].secretKeyRef: Secret partner does not exist in namespace {namespace}"
    )
    assert lines[1].startswith(
        "10: spec.activities[0].exec.files[0].configMapKeyRef: ConfigMap programs does"
    )

    given = (
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: programs}\ndata: {x: text}\n"
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: partner}\nstringData: {wort: text}\n"
    )
    assert check(PLAN + NEEDS + given) == (
        1,
        ["7: spec.parameters[1].secretKeyRef: Secret partner has no key word, did you mean wort?"],
    )
    cluster.kubectl("apply", f"--namespace={namespace}", "-f", "-", stdin=given.replace("wort", "word"))
    assert check(PLAN + NEEDS) == (0, ["OK: 1 activity"])


def test_a_trial_is_compared_with_the_plan_in_the_cluster(check, cluster, namespace):
    trial = TRIAL + "  planRef: {name: survey}\n"
    assert check(trial) == (
        1,
        [f"6: spec.planRef.name: TrialPlan survey does not exist in namespace {namespace}"],
    )

    cluster.kubectl("apply", f"--namespace={namespace}", "-f", "-", stdin=PLAN + STEP)
    assert check(trial) == (1, ["4: spec.parameters.url: required by the plan"])
    assert check(trial + "  parameters: {url: http://x}\n") == (0, ["OK: 0 activities"])


def test_the_rights_are_those_of_the_user(check, cluster, namespace, tmp_path):
    token = cluster.kubectl.token(namespace, "default")
    found = yaml.safe_load(cluster.kubeconfig.read_text())
    found["users"][0]["user"] = {"token": token}
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(found))

    code, lines = check(PLAN + NEEDS, file)

    assert code == 1
    assert lines[0].startswith("1: .: refused by the cluster: ")
    assert "cannot patch resource" in lines[0]
    assert lines[1].startswith(
        "7: warning: spec.parameters[1].secretKeyRef: Secret partner was not checked: "
    )


def test_what_the_api_server_refuses_is_shown_with_its_line(check):
    assert check(PLAN.replace("{name: survey}", "{name: survey, namespace: nowhere}") + STEP) == (
        1,
        ['1: .: refused by the cluster: namespaces "nowhere" not found'],
    )


def test_a_cluster_that_cannot_be_asked_is_an_error_of_its_own(check, cluster, tmp_path):
    found = yaml.safe_load(cluster.kubeconfig.read_text())
    found["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(found))

    code, lines = check(PLAN + STEP, file)

    assert code == 2
    assert lines[0].startswith("the cluster can't be asked: ")
    with pytest.raises(ClusterError, match="has no context"):
        Cluster("elsewhere", None, str(cluster.kubeconfig))
    with pytest.raises(ClusterError, match="none"):
        Cluster(None, None, str(tmp_path / "none"))
