"""Writes the version of pyproject.toml, its one source, into the chart."""

import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "deploy" / "helm" / "lcm-operator" / "Chart.yaml"


def current() -> str:
    """Return the version of the product."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version: str = project["version"]
    return version


def chart(version: str) -> str:
    """Return Chart.yaml with `version` as that of the chart and of the application."""
    text = CHART.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^version: .*$", f"version: {version}", text)
    text = re.sub(r"(?m)^( +image: lcm-operator):.*$", rf"\g<1>:{version}", text)
    return re.sub(r"(?m)^appVersion: .*$", f'appVersion: "{version}"', text)


def main() -> None:
    """Write it."""
    CHART.write_text(chart(current()), encoding="utf-8")
