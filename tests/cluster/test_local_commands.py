"""The whole local cluster, operator and node included, by the command line that make calls."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import NODE, OPERATOR, SERVICES, STANDARD
from devcluster.cluster.guard import guarded
from devcluster.cluster.services import REGISTRY, REST, address
from devcluster.waiting import wait_until

EVERYTHING = (*STANDARD, *SERVICES)
# The usual ones may belong to a cluster that somebody works with.
FREE_PORTS = ("--rest-port=0", "--registry-port=0", "--partners-port=0")
ENGINE_LIKE_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "long"},
    "spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "engine", "image": "lcm-operator:local", "command": ["sleep", "600"]}],
    },
}


def command(
    directory: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devcluster", "--directory", str(directory), *arguments],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[Cluster]:
    """All of it, brought up by the command line, taken down whatever happens."""
    assert programs
    cluster = Cluster(tmp_path_factory.mktemp("whole"))
    with guarded(cluster):
        up = command(cluster.directory, "up", *FREE_PORTS)
        assert up.returncode == 0, up.stderr
        yield cluster


def pids(cluster: Cluster) -> dict[str, int | None]:
    return {name: cluster.layout.process(name).pid() for name in EVERYTHING}


def sleepers(cluster: Cluster) -> list[Path]:
    """Return the processes of this machine that are the pod's."""
    home = str(cluster.layout.node)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = home in (process / "environ").read_text(errors="replace")
            if is_ours and b"sleep\x00600" in (process / "cmdline").read_bytes():
                found.append(process)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def test_the_demo_plan_is_there_and_every_process_is_known(whole: Cluster) -> None:
    assert whole.kubectl.get("trialplan", "demo")["metadata"]["namespace"] == "default"
    control_plane = {"etcd", "kube-apiserver", "kube-controller-manager"}
    assert set(pids(whole)) == control_plane | {"node", "operator", "registry", "partners", "rest"}
    assert all(pids(whole).values())
    for name in EVERYTHING:
        assert (whole.directory / "log" / f"{name}.log").exists()


def asked(cluster: Cluster, path: str, method: str = "GET", key: str | None = None) -> tuple[int, Any]:
    """Return status and JSON of what the REST interface answers to those who have the key."""
    key = cluster.layout.api_key.read_text() if key is None else key
    with requests.Session() as session:
        url = f"http://{address(cluster.layout, REST)}{path}"
        answer = session.request(method, url, headers={"Authorization": key}, timeout=20)
        return answer.status_code, answer.json()


def test_callers_with_the_key_schedule_what_the_registry_has(whole: Cluster) -> None:
    assert oct(whole.layout.api_key.stat().st_mode & 0o777) == "0o600"
    assert asked(whole, "/status", key="another")[0] == 401
    assert asked(whole, "/status")[1]["message"] == "This is Lifecycle Manager 0.1.1!"
    registry = whole.kubectl.get("trialregistry", "default")["spec"]
    assert registry["url"] == f"http://{address(whole.layout, REGISTRY)}"
    assert registry["import"] == "None"

    # Of the three that it is seeded with, one lies in the past.
    scheduled = asked(whole, "/debug/trial/schedule-all", "POST")

    assert scheduled == (
        200,
        {"message": "Scheduled trials with ids: ['harbour-survey', 'forest-fire-watch']"},
    )


def test_operator_and_node_are_not_admins(whole: Cluster) -> None:
    users = {
        name: whole.kubectl(
            "auth", "whoami", "-o", "json", f"--kubeconfig={whole.layout.service_kubeconfig(name)}"
        ).stdout
        for name in (OPERATOR, NODE)
    }

    assert json.loads(users[OPERATOR])["status"]["userInfo"]["username"] == (
        "system:serviceaccount:default:lcm-operator"
    )
    assert "system:masters" not in "".join(users.values())


def test_up_again_changes_nothing(whole: Cluster) -> None:
    before = pids(whole)

    again = command(whole.directory, "up")

    assert again.returncode == 0
    assert "everything was running already" in again.stdout
    assert pids(whole) == before


def test_what_died_is_started_again_and_pods_live_on_meanwhile(whole: Cluster) -> None:
    whole.kubectl("create", "--filename=-", stdin=json.dumps(ENGINE_LIKE_POD))
    assert wait_until(lambda: len(sleepers(whole)) == 1, seconds=30)
    pod, before = sleepers(whole), pids(whole)

    for name in (NODE, OPERATOR, REST):
        os.kill(before[name] or 0, signal.SIGKILL)
    assert command(whole.directory, "up").returncode == 0

    changed = {name for name, pid in pids(whole).items() if pid != before[name]}
    assert changed == {NODE, OPERATOR, REST}
    assert sleepers(whole) == pod


def test_another_level_replaces_the_sidecar_and_holds(whole: Cluster) -> None:
    before = pids(whole)

    assert command(whole.directory, "up", environment={"LCM_API_LEVEL": "1.0.2"}).returncode == 0

    changed = {name for name, pid in pids(whole).items() if pid != before[name]}
    assert changed == {REST}
    assert asked(whole, "/status")[1]["message"] == "This is Lifecycle Manager 1.0.2!"
    assert "everything was running already" in command(whole.directory, "up").stdout


def test_a_cluster_of_an_older_version_gets_what_it_lacks(whole: Cluster) -> None:
    layout, before = whole.layout, pids(whole)
    whole.stop(REST)
    whole.stop(REGISTRY)
    state = json.loads(layout.state_file.read_text())
    older = {name: port for name, port in state["ports"].items() if name not in {"rest-metrics", REGISTRY}}
    layout.state_file.write_text(json.dumps({"ports": older, "context": None}))
    for file in (layout.api_key, layout.rest_keys):
        file.unlink()

    up = command(whole.directory, "up", *FREE_PORTS)

    assert up.returncode == 0, up.stderr
    changed = {name for name, pid in pids(whole).items() if pid != before[name]}
    assert changed == {REST, REGISTRY}
    assert older.items() <= layout.ports.items()
    assert asked(whole, "/status")[0] == 200


def test_a_port_that_is_taken_is_reported_before_anything_is_started(tmp_path: Path, programs: Path) -> None:
    assert programs
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        up = command(tmp_path, "up", f"--rest-port={port}", *FREE_PORTS[1:])

    assert up.returncode == 1
    assert f"port {port} on 127.0.0.1, needed by rest, is in use by another program" in up.stderr
    assert "make up REST_PORT=" in up.stderr
    assert Cluster(tmp_path).layout.processes() == []


def test_a_context_of_the_user_s_own_is_not_taken_in_the_middle(whole: Cluster) -> None:
    refused = command(
        whole.directory, "up", "--context", "mine", environment={"PATH": path_with_kubectl(whole)}
    )

    assert refused.returncode == 1
    assert "is already up on a control plane of its own; run make down first" in refused.stderr


def test_down_ends_everything_even_the_pods_of_a_dead_node(whole: Cluster) -> None:
    """The last one here: it takes the cluster down."""
    whole.stop(NODE, signal.SIGKILL)
    assert sleepers(whole)
    processes = whole.layout.processes()

    down = command(whole.directory, "down")

    assert down.returncode == 0, down.stderr
    assert not any(process.alive() for process in processes)
    assert sleepers(whole) == []
    assert sorted(file.name for file in whole.directory.iterdir()) == ["bin", "lock", "log"]


def test_down_with_nothing_up_is_no_error(tmp_path: Path) -> None:
    down = command(tmp_path / "nothing", "down")

    assert (down.returncode, down.stderr) == (0, "")
    assert "nothing was running" in down.stdout
    assert not (tmp_path / "nothing").exists()


def path_with_kubectl(cluster: Cluster) -> str:
    return f"{cluster.bin_dir}:{os.environ['PATH']}"


def test_the_operator_works_on_a_context_that_was_named_and_leaves_it_there(
    cluster: Cluster, tmp_path: Path
) -> None:
    theirs = {"KUBECONFIG": str(cluster.kubeconfig), "PATH": path_with_kubectl(cluster)}
    ours = Cluster(tmp_path)
    with guarded(ours):
        up = command(tmp_path, "up", "--context", "lcm-local", environment=theirs)

        assert up.returncode == 0, up.stderr
        assert [process.name for process in ours.layout.processes()] == [OPERATOR]
        assert ours.server == cluster.server
        assert command(tmp_path, "down").returncode == 0

    assert cluster.kubectl("get", "--raw=/readyz").stdout == "ok"


def test_a_context_that_does_not_exist_is_an_error_that_names_it(cluster: Cluster, tmp_path: Path) -> None:
    theirs = {"KUBECONFIG": str(cluster.kubeconfig), "PATH": path_with_kubectl(cluster)}

    up = command(tmp_path, "up", "--context", "elsewhere", environment=theirs)

    assert up.returncode == 1
    assert "context elsewhere of your kubeconfig cannot be used" in up.stderr


def test_the_demo_plays_to_its_end_and_leaves_nothing(tmp_path: Path, programs: Path) -> None:
    assert programs
    demo = command(tmp_path, "run", "--once", *FREE_PORTS)

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "ms after its start time" in demo.stdout
    assert "✗ radio-link" in demo.stdout
    assert "did not repeat reserve-slice and preflight" in demo.stdout
    assert Cluster(tmp_path).layout.state is None
    assert not any(process.alive() for process in Cluster(tmp_path).layout.processes())


def test_the_flight_plays_to_its_end_with_partners_that_fail_once(tmp_path: Path, programs: Path) -> None:
    assert programs
    flight = command(tmp_path, "run", "--plan", "5gdrones", "--once", *FREE_PORTS)

    assert flight.returncode == 0, flight.stdout + flight.stderr
    assert "✗ enforce-uav-plan" in flight.stdout
    assert "✓ slice-deployed" in flight.stdout
    assert "✓ remove-callback-token" in flight.stdout
    assert "get-trial-info-auth" not in flight.stdout
    assert "The partners carried out 16 requests for it, none of them twice." in flight.stdout
    assert Cluster(tmp_path).layout.state is None


def test_the_flight_is_not_played_on_a_cluster_of_the_user_s_own(tmp_path: Path) -> None:
    refused = command(tmp_path, "run", "--plan", "5gdrones", "--context", "mine", "--once")

    assert refused.returncode == 1
    assert "needs the services of the local cluster" in refused.stderr
    assert not any(tmp_path.iterdir())


def test_run_ends_at_once_when_the_make_that_called_it_is_killed(tmp_path: Path, programs: Path) -> None:
    assert programs
    cluster = Cluster(tmp_path / "cluster")
    output = tmp_path / "output"
    local = f"'{sys.executable}' -m devcluster --directory '{cluster.directory}'"
    run = f"{local} run {' '.join(FREE_PORTS)} & wait"
    with (
        output.open("w") as out,
        subprocess.Popen(["sh", "-c", run], env={**os.environ, "MAKELEVEL": "1"}, stdout=out) as make,
    ):
        assert wait_until(lambda: "starting node" in output.read_text(), seconds=60)
        processes = cluster.layout.processes()
        make.kill()

    assert processes
    assert wait_until(lambda: cluster.layout.state is None, seconds=60)
    assert not any(process.alive() for process in processes)
    assert "kubectl apply" not in output.read_text()
