"""The chart, rendered by real Helm with one set of values after the other."""

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.conftest import cluster, programs  # noqa: F401 - fixtures
from tools.chart.generate import CHART
from tools.chart.programs import HELM, HELM3, KUBE_SCORE

from devcluster.programs.building import built

NAMESPACE = "lcm-home"
RELEASE = "lcm"
DIGEST = "sha256:" + "0a" * 32
APART = {
    "topologyKey": "kubernetes.io/hostname",
    "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "lcm-operator"}},
}
CASES: dict[str, dict[str, Any]] = {
    "with the defaults": {},
    "with the REST interface apart and trials in other namespaces": {
        "rest": {"standalone": True, "apiLevel": "1.0.2", "allowedHosts": ["lcm.lab"]},
        "watchNamespaces": ["lab-a", "lab-b"],
        "trialNamespace": "lab-a",
    },
    "cluster-wide, without the REST interface, the CRDs and all that can be left out": {
        "clusterWide": True,
        "rest": {"enabled": False},
        "crds": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "aggregateRoles": False,
    },
    "with everything set": {
        "fullnameOverride": "starter",
        "image": {"repository": "registry.example/lcm", "digest": DIGEST, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "pull"}],
        "logLevel": "DEBUG",
        "logFormat": "json",
        "clusterWide": True,
        "watchNamespaces": ["lab-a"],
        "crds": {"keep": False},
        "rest": {
            "standalone": True,
            "existingSecret": "keys",
            "service": {"type": "LoadBalancer", "port": 80, "annotations": {"a": "b"}},
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "host": "lcm.example",
                "tlsSecret": "tls",
                "annotations": {"c": "d"},
            },
        },
        "trialRegistry": {"enabled": True, "spec": {"url": "https://registry.example", "import": "All"}},
        "networkPolicy": {
            "restFrom": [{"namespaceSelector": {"matchLabels": {"team": "lab"}}}],
            "metricsFrom": [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
        },
        "monitoring": {
            "serviceMonitor": {"enabled": True},
            "rules": {"enabled": True},
            "dashboard": {"enabled": True},
        },
        "podAnnotations": {"e": "f"},
        "podLabels": {"team": "lab"},
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "edge", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [APART]}},
    },
}
CASES |= {
    f"as in examples/{file.name}": yaml.safe_load(file.read_text(encoding="utf-8"))
    for file in sorted((CHART / "examples").glob("*.yaml"))
}
Object = dict[str, Any]


class Helm:
    """One helm, with the chart."""

    def __init__(self, program: Path, scratch: Path) -> None:
        self._program = program
        self._values = scratch / "values.yaml"
        self._rendered: dict[str, list[Object]] = {}

    def __call__(
        self, command: str, values: dict[str, Any], *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        self._values.write_text(yaml.safe_dump(values), encoding="utf-8")
        version = ["--kube-version=1.33.0"] if command == "template" else []
        return subprocess.run(
            [
                *(str(self._program), command, *arguments, str(CHART)),
                *(f"--namespace={NAMESPACE}", f"--values={self._values}", *version),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    def notes(self, values: dict[str, Any]) -> str:
        """Return what Helm prints after an installation."""
        done = self("install", values, RELEASE, "--dry-run=client")
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:")[2]

    def text(self, values: dict[str, Any]) -> str:
        """Return what the chart renders."""
        done = self("template", values, RELEASE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def objects(self, values: dict[str, Any]) -> list[Object]:
        """Return the objects that the chart renders; the same values are rendered once."""
        key = json.dumps(values)
        if key not in self._rendered:
            # libyaml: the CRDs are long, and PyYAML's own parser takes seconds for them.
            loaded = yaml.load_all(self.text(values), Loader=yaml.CSafeLoader)
            self._rendered[key] = [found for found in loaded if found]
        return copy.deepcopy(self._rendered[key])


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(built(HELM, print) / "helm", tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def helm3(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(built(HELM3, print) / "helm", tmp_path_factory.mktemp("helm3"))


@pytest.fixture(scope="session")
def kube_score() -> Path:
    return built(KUBE_SCORE, print) / "kube-score"


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def values(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param


@pytest.fixture
def find(helm: Helm) -> Callable[[dict[str, Any], str, str], Object]:
    """Return the object of a kind and a name."""

    def find(values: dict[str, Any], kind: str, name: str) -> Object:
        (found,) = (
            item for item in helm.objects(values) if (item["kind"], item["metadata"]["name"]) == (kind, name)
        )
        return found

    return find
