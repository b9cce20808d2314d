"""Writes what the chart has from elsewhere, and what is made from the chart; `make chart`.

The CRDs, RBAC rules, admission policies and plans have their source outside the chart, which only has copies.
docs/reference/chart.md comes from the values' schema, deploy/install.yaml from Helm, docs/reference/rights.md
from the RBAC rules.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from tools.chart import rights
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
Schema = Mapping[str, Any]


def sources() -> dict[Path, Path]:
    """Return the source of each file that the chart has a copy of, by the copy."""
    files = CHART / "files"
    found = {files / "plans" / "demo.yaml": REPOSITORY / "examples" / "plan-demo.yaml"}
    for folder in ("crds", "policies", "rbac", "plans"):
        found |= {files / folder / file.name: file for file in (DEPLOY / folder).glob("*.yaml")}
    return found


def copies() -> list[Path]:
    """Return the files that the chart has copies of now."""
    return sorted((CHART / "files").rglob("*.yaml"))


def reference() -> str:
    """Return the page of all values."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    head = [
        "<!-- Made by tools/chart/generate.py from deploy/helm/lcm-operator/values.schema.json. -->",
        "# Values of the chart",
        "",
        "See [install](../install.md) for how to use them. An unknown value is refused.",
        "",
        "| value | default | allowed | description |",
        "|" + "---|" * 4,
    ]
    return "\n".join([*head, *_rows(schema, values, "")]) + "\n"


def _rows(schema: Schema, values: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield the table's row of each value that has a default, with a section's values after it."""
    for name, field in schema["properties"].items():
        if name not in values:
            continue
        text = field.get("description", "")
        section = "properties" in field and values[name] != {}
        if text or not section:
            default = "" if section else f"`{json.dumps(values[name])}`"
            cells = (f"`{path}{name}`", default, _allowed(field), text)
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if section:
            yield from _rows(field, values[name], f"{path}{name}.")


def _allowed(field: Schema) -> str:
    said = [f"`{value}`" for value in field.get("enum", ())]
    said += [f"{key} {field[key]}" for key in ("minimum", "maximum", "maxLength") if key in field]
    return ", ".join(said)


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
    REFERENCE.write_text(reference(), encoding="utf-8")
    rights.PAGE.write_text(rights.page(), encoding="utf-8")
    INSTALL.write_text(install(), encoding="utf-8")


if __name__ == "__main__":
    main()
