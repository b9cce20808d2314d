"""docs/production.md: Helm adopts CRDs that kubectl installed, if it is asked to."""

import re
import subprocess
from pathlib import Path

import pytest
from tools.chart.programs import HELM, HELM3

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.layout import REPOSITORY
from devcluster.programs.building import Module, built

PAGE = (REPOSITORY / "docs" / "production.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", [HELM, HELM3], ids=["Helm 4", "Helm 3"])
def test_crds_of_kubectl_are_adopted_on_request(cluster: Cluster, tmp_path: Path, module: Module):
    (shown,) = re.findall(r"^helm (install .*) --take-ownership$", PAGE, re.MULTILINE)
    command = [str(built(module, print) / "helm"), *shown.split(), "--dry-run=server"]
    environment = {"KUBECONFIG": str(cluster.kubeconfig), "HOME": str(tmp_path)}

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *options], env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False
        )

    refused, adopted = run(), run("--take-ownership")

    assert refused.returncode == 1
    assert "invalid ownership metadata" in refused.stderr
    assert adopted.returncode == 0, adopted.stderr
