"""Engine and operator as a user whom nobody knows, with group 0 and no home, as OpenShift runs them."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from tests.cluster.engine_harness import acting, as_user
from tests.cluster.rest_harness import free_port

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import LEASE_NAMESPACE
from devcluster.waiting import wait_until

USER = 1_000_730_000
DEADLINE = 60
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can run a process as another user"
)


def test_engine_runs_a_plan_with_programs_and_files(cluster: Cluster, namespace: str, tmp_path: Path):
    read = {"name": "look.sh", "content": '#!/bin/sh\nid -u; id -g; echo "${HOME-no home}"'}
    program = {"command": ["look.sh"], "files": [read], "capture": {"said": "{{ stdout.text }}"}}
    with acting(cluster, namespace, tmp_path) as harness:
        harness.create({"name": "look", "exec": program})
        tmp_path.chmod(0o755)
        running = harness.start(user=USER)
        harness.grant(running)
        assert running.exit_code() == 0, running.log
        assert harness.activity("look")["output"]["said"].split("\n") == [str(USER), "0", "no home", ""]


def test_operator_gets_ready_and_ends(cluster: Cluster, tmp_path: Path):
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "LCM_KUBECONFIG": str(cluster.service_account_kubeconfig("default", "lcm-operator")),
        "LCM_LEASE_NAMESPACE": LEASE_NAMESPACE,
        "LCM_HEALTH_ADDRESS": f"127.0.0.1:{port}",
    }
    command = [*as_user(USER), sys.executable, "-m", "lcm_operator.controllers"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd="/", stdout=log, stderr=log)
    try:

        def is_ready() -> bool:
            try:
                return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).ok
            except requests.ConnectionError:
                return process.poll() is not None

        assert wait_until(is_ready, seconds=DEADLINE)
        assert process.poll() is None, (tmp_path / "log").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()
