"""Writes what the chart has from elsewhere, and what is made from the chart; `make chart`.

The CRDs, RBAC rules, admission policies and plans have their source outside the chart, which only has copies.
Schema, values.yaml, README and docs/reference/chart.md come from tools/chart/values.yaml, deploy/install.yaml
from Helm, docs/reference/rights.md from the RBAC rules.
"""

import subprocess
import sys
from pathlib import Path

from tools.chart import rights, values
from tools.chart.programs import HELM

from devcluster.programs.building import built

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"
CHART = DEPLOY / "helm" / "lcm-operator"
REFERENCE = REPOSITORY / "docs" / "reference" / "chart.md"
INSTALL = DEPLOY / "install.yaml"
INSTALL_NAMESPACE = "lcm-operator"
INSTALL_HEAD = f"""\
# LCM Operator for use without Helm; generated from the chart by `make chart`. See docs/install.md.
# The operator watches only the namespace {INSTALL_NAMESPACE}. Its REST interface starts once a key exists:
#   KEY=$(head -c 32 /dev/urandom | sha256sum | cut -d' ' -f1)
#   HASH=$(printf %s "$KEY" | sha256sum | cut -d' ' -f1)
#   kubectl -n {INSTALL_NAMESPACE} create secret generic lcm-operator-api-keys \\
#     --from-literal=api-key="$KEY" --from-literal=keys="operate default sha256:$HASH"
apiVersion: v1
kind: Namespace
metadata:
  name: {INSTALL_NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
INSTALL_VALUES = {
    "rest.standalone": "true",
    "rest.existingSecret": "lcm-operator-api-keys",
}
README_HEAD = """\
<!-- Made by tools/chart/generate.py. -->
# LCM Operator

Starts field trials at their start time, exactly once, and restores their engines from a checkpoint. You need
Kubernetes 1.33 or newer, Helm 3 or 4, and the image where your nodes can find it.

```
kubectl create namespace lcm
kubectl label namespace lcm pod-security.kubernetes.io/enforce=restricted
helm install lcm-operator deploy/helm/lcm-operator --namespace lcm --wait
helm test lcm-operator --namespace lcm
```

Values for some platforms are in [examples](examples). An unknown value is rejected.

## Values

"""
REFERENCE_HEAD = """\
<!-- Made by tools/chart/generate.py from tools/chart/values.yaml. -->
# Values of the chart

See [install](../install.md) for how to use them. An unknown value is rejected.

"""


def sources() -> dict[Path, Path]:
    """Return the source of each file that the chart has a copy of, by the copy."""
    files = CHART / "files"
    found = {files / "plans" / "demo.yaml": REPOSITORY / "examples" / "plan-demo.yaml"}
    for folder in ("crds", "policies", "rbac", "plans", "monitoring"):
        found |= {files / folder / file.name: file for file in (DEPLOY / folder).iterdir()}
    return found


def copies() -> list[Path]:
    """Return the files that the chart has copies of now."""
    return sorted(file for file in (CHART / "files").rglob("*") if file.is_file())


def texts() -> dict[Path, str]:
    """Return what is made from tools/chart/values.yaml, by its path."""
    return {
        CHART / "values.schema.json": values.schema_text(),
        CHART / "values.yaml": values.defaults_text(),
        CHART / "README.md": README_HEAD + values.table(),
        REFERENCE: REFERENCE_HEAD + values.table(),
    }


def _tell(said: str) -> None:
    sys.stderr.write(f"{said}\n")


def install() -> str:
    """Return deploy/install.yaml, by Helm."""
    helm = built(HELM, _tell) / "helm"
    settings = [f"--set={key}={value}" for key, value in INSTALL_VALUES.items()]
    render = [str(helm), "template", "lcm-operator", str(CHART), f"--namespace={INSTALL_NAMESPACE}"]
    done = subprocess.run(
        [*render, "--no-hooks", *settings], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return INSTALL_HEAD + done.stdout.replace("managed-by: Helm", "managed-by: kubectl")


def main() -> None:
    """Write all of it."""
    wanted = sources()
    for copy in copies():
        if copy not in wanted:
            copy.unlink()
    for copy, source in wanted.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
    for path, text in texts().items():
        path.write_text(text, encoding="utf-8")
    rights.PAGE.write_text(rights.page(), encoding="utf-8")
    INSTALL.write_text(install(), encoding="utf-8")


if __name__ == "__main__":
    main()
