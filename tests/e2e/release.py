"""The chart as a user installs it, and a user's commands: kubectl, helm, requests to the Service."""

import base64
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from tests.e2e.real_node import RealNode

from devcluster.cluster.layout import REPOSITORY
from devcluster.waiting import wait_until

CHART = REPOSITORY / "deploy" / "helm" / "lcm-operator"
NAMESPACE = "lcm"
TRIALS = "lab"
NAME = "lcm-operator"
DEADLINE = 120
VALUES: dict[str, Any] = {
    "image": {"tag": "e2e", "pullPolicy": "Never"},
    "watchNamespaces": [TRIALS],
    "trialNamespace": TRIALS,
    "plans": {"demo": {"enabled": True}},
    "rest": {"defaultPlan": "demo"},
}


def in_seconds(seconds: float) -> str:
    """Return a start time so far from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def manifest(name: str, seconds: float, spec: dict[str, Any]) -> dict[str, Any]:
    """Return a Trial that is due in so many seconds."""
    plan = {} if "planRef" in spec else {"activities": [{"name": "nap", "sleep": {"seconds": 1}}]}
    return {
        "apiVersion": "lcm.5gdrones.eu/v1alpha1",
        "kind": "Trial",
        "metadata": {"name": name, "namespace": TRIALS},
        "spec": {"startTime": in_seconds(seconds)} | plan | spec,
    }


def until(holds: Callable[[], object], what: object = "", seconds: float = DEADLINE) -> None:
    assert wait_until(lambda: bool(holds()), seconds=seconds), what() if callable(what) else what


class Release:
    """One release of the chart, in namespaces that enforce Pod Security `restricted`."""

    def __init__(self, node: RealNode) -> None:
        self.node = node
        self.kubectl = node.kubectl

    def prepare(self) -> None:
        """Make the namespaces."""
        for name in (NAMESPACE, TRIALS):
            self.kubectl("create", "namespace", name)
            secured = "pod-security.kubernetes.io/enforce=restricted"
            self.kubectl("label", "namespace", name, secured)

    def helm(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [f"{self.node.layout.bin}/helm", *arguments, f"--namespace={NAMESPACE}"]
        done = subprocess.run(
            [*command, f"--kubeconfig={self.node.layout.kubeconfig}"],
            capture_output=True,
            text=True,
            check=False,
            env={"HOME": str(self.node.directory), "PATH": "/usr/bin:/bin"},
        )
        assert not check or done.returncode == 0, f"{done.stderr}\n{self.state()}"
        return done

    def install(self) -> None:
        """Install the chart as `prepare` has made the ground for it."""
        self.helm("install", NAME, str(CHART), "--wait", "--timeout=3m", *self.values({}))

    def upgrade(self, **values: Any) -> None:
        self.helm("upgrade", NAME, str(CHART), "--wait", "--timeout=3m", *self.values(values))

    def values(self, more: dict[str, Any]) -> list[str]:
        """Return the option that names the values of these tests, with more of them."""
        file = self.node.directory / "values.yaml"
        file.write_text(yaml.safe_dump(VALUES | more))
        return [f"--values={file}"]

    def state(self) -> str:
        """Return what there is, for the message of a failure."""
        parts = [
            self.kubectl("get", "pods,jobs", "--all-namespaces", "-o", "wide", check=False).stdout,
            self.kubectl("get", "events", "--all-namespaces", check=False).stdout[-4000:],
            self.logs("operator"),
        ]
        return "\n".join(parts)

    def logs(self, container: str) -> str:
        of = (f"--namespace={NAMESPACE}", f"--selector=app.kubernetes.io/instance={NAME}")
        return self.kubectl(
            "logs", *of, f"--container={container}", "--tail=30", "--prefix", check=False
        ).stdout

    def trial(self, name: str, seconds: float, **spec: Any) -> str:
        """Apply a Trial that is due in so many seconds."""
        self.kubectl("apply", "--filename=-", stdin=json.dumps(manifest(name, seconds, spec)))
        return name

    def trials(self, prefix: str, count: int) -> list[str]:
        """Apply Trials that are due one second after the other, the first of them in 15 s."""
        documents = [manifest(f"{prefix}-{number}", 15 + number, {}) for number in range(count)]
        self.kubectl("apply", "--filename=-", stdin="\n---\n".join(map(json.dumps, documents)))
        return [document["metadata"]["name"] for document in documents]

    def get(self, kind: str, name: str, namespace: str = TRIALS) -> dict[str, Any]:
        return self.kubectl.get(kind, name, f"--namespace={namespace}")

    def phase(self, trial: str) -> str:
        return self.get("trial", trial).get("status", {}).get("phase", "")

    def until_phase(self, trial: str, phase: str, seconds: float = DEADLINE) -> dict[str, Any]:
        """Wait until a trial has come to a phase; return its status."""

        def shown_phase() -> str:
            return json.dumps(self.get("trial", trial).get("status"), indent=1) + self.state()

        until(lambda: self.phase(trial) == phase, shown_phase, seconds)
        return self.get("trial", trial)["status"]

    def starts(self, *trials: str) -> Counter[str]:
        """Return how often each of these trials was attempted."""
        return Counter({trial: len(self.get("trialengine", trial)["status"]["attempts"]) for trial in trials})

    def annotate(self, trial: str, **annotations: str) -> None:
        named = [f"lcm.5gdrones.eu/{key.replace('_', '-')}={value}" for key, value in annotations.items()]
        self.kubectl("annotate", "trial", trial, f"--namespace={TRIALS}", *named)

    def is_ready(self, pod: str) -> bool:
        """Whether the containers of an engine's pod run."""
        conditions = self.get("pod", pod).get("status", {}).get("conditions", [])
        return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)

    def operators(self) -> list[dict[str, Any]]:
        """Return the pods of the operator that are not on their way out."""
        selector = "app.kubernetes.io/component=operator"
        pods = self.kubectl.get("pods", f"--namespace={NAMESPACE}", f"--selector={selector}").get("items", [])
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def all_ready(self) -> bool:
        return len(self.operators()) == 2 and all(
            condition["status"] == "True"
            for pod in self.operators()
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "Ready"
        )

    def key(self) -> str:
        """Return the generated API key, as NOTES.txt says."""
        secret = self.get("secret", f"{NAME}-api-keys", NAMESPACE)
        return base64.b64decode(secret["data"]["api-key"]).decode()

    def service(self) -> str:
        """Return the address of the REST interface's Service."""
        service = self.get("service", f"{NAME}-rest", NAMESPACE)
        return f"http://{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"

    def until_started(self, trial: str) -> None:
        """Return right after the start of a trial."""
        until(lambda: "startedTime" in self.get("trial", trial).get("status", {}), self.state)
