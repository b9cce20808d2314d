"""The alerts, judged by promtool: each fires and does not fire, and has a runbook."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools.monitoring.dashboard import TARGET, dashboard

REPOSITORY = Path(__file__).parents[2]
RULES = REPOSITORY / "deploy" / "monitoring" / "rules.yaml"
CASES = Path(__file__).parent / "rules_test.yaml"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
SECTIONS = ["What it means", "How to see it", "What to do"]
FLIPPED = {"<": ">=", ">": "<=", "==": "!="}
Rule = dict[str, Any]


def alerts() -> list[Rule]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
def judge(prometheus: Path, tmp_path: Path) -> Callable[[Callable[[Rule], None]], str]:
    """Return what promtool finds wrong with the rules after each was changed; empty: nothing."""

    def judge(change: Callable[[Rule], None]) -> str:
        file = yaml.safe_load(RULES.read_text(encoding="utf-8"))
        for group in file["groups"]:
            for rule in group["rules"]:
                change(rule)
        (tmp_path / RULES.name).write_text(yaml.safe_dump(file), encoding="utf-8")
        (tmp_path / CASES.name).write_bytes(CASES.read_bytes())
        command = [str(prometheus / "promtool"), "test", "rules", CASES.name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    return judge


def test_promtool_finds_no_fault_in_the_rules(prometheus: Path):
    command = [str(prometheus / "promtool"), "check", "rules", "--lint=all", "--lint-fatal", str(RULES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_alert_fires_when_it_should_and_only_then(judge):
    assert judge(lambda _: None) == ""


def test_alerts_that_never_fire_are_noticed(judge):
    def never(rule: Rule) -> None:
        rule["expr"] = "vector(0) == 1"

    assert noticed(judge(never)) == {rule["alert"] for rule in alerts()}


def test_alerts_that_fire_too_early_are_noticed(judge):
    def early(rule: Rule) -> None:
        rule["expr"] = re.sub("|".join(FLIPPED), lambda found: FLIPPED[found[0]], rule["expr"])
        if rule["expr"].startswith("absent("):
            rule.pop("for")

    assert noticed(judge(early)) == {rule["alert"] for rule in alerts()}


def noticed(said: str) -> set[str]:
    return set(re.findall(r"alertname: ?(\w+)", said))


def test_each_alert_has_a_runbook_and_each_runbook_an_alert():
    named = {REPOSITORY / rule["annotations"]["runbook"]: rule["alert"] for rule in alerts()}
    assert named.keys() == set(RUNBOOKS.glob("*.md"))
    for page, alert in named.items():
        text = page.read_text(encoding="utf-8")
        assert text.splitlines()[0] == f"# {alert}", page
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS, page
        assert "```" in text.partition("## How to see it")[2].partition("## ")[0], page


def test_each_alert_is_listed_with_its_page_and_severity():
    text = (REPOSITORY / "docs" / "monitoring.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"\| \[(\w+)\]\((runbooks/[\w-]+\.md)\) \| (\w+) \|", text))
    wanted = {
        (rule["alert"], rule["annotations"]["runbook"].removeprefix("docs/"), rule["labels"]["severity"])
        for rule in alerts()
    }
    assert rows == wanted


def test_rules_and_dashboard_use_only_metrics_that_are_documented():
    text = (REPOSITORY / "docs" / "monitoring.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(lcm_\w+)", text))
    used = set(re.findall(r"\blcm_\w+", RULES.read_text(encoding="utf-8") + json.dumps(dashboard())))
    histograms = {f"{name}_{part}" for name in documented for part in ("bucket", "count")}
    assert used - documented - histograms == set()


def test_the_dashboard_is_current():
    assert json.loads(TARGET.read_text(encoding="utf-8")) == dashboard()
