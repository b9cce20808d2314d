"""`lcm import`: what a Lifecycle Manager has scheduled is scheduled here, and nothing starts twice."""

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cluster.legacy_harness import FAR, KEY, LegacyManager
from tests.cluster.operator_harness import OperatorHarness, Trial, TrialPlan, nap
from tests.cluster.rest_harness import LEVELS, TrialRegistry

from devcluster.cluster.layout import REPOSITORY

PAGE = (REPOSITORY / "docs" / "migration.md").read_text(encoding="utf-8")


class Lcm:
    """The command line on one namespace, and the old service."""

    def __init__(self, harness: OperatorHarness, old: LegacyManager, folder: Path) -> None:
        self.harness, self.old = harness, old
        self._key = folder / "key"
        self._key.write_text(f"{KEY}\n")
        harness.create(TrialPlan, "default", {"activities": [nap()]})

    def run(self, *options: str, url: str | None = None, key: str | None = None) -> tuple[int, str, str]:
        """Return the exit code and what it printed, with runs of blanks made one."""
        if key:
            self._key.write_text(key)
        command = [sys.executable, "-m", "lcm_operator.cli", "import", "--from", url or self.old.url]
        done = subprocess.run(
            [*command, "--key-file", str(self._key), "--namespace", self.harness.namespace, *options],
            env={"KUBECONFIG": str(self.harness.cluster.kubeconfig), "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, "\n".join(" ".join(x.split()) for x in done.stdout.splitlines()), done.stderr

    def trial(self, name: str) -> Trial:
        found: Trial = Trial.objects(self.harness.api, namespace=self.harness.namespace).get_by_name(name)
        return found

    def suspended(self) -> dict[str, bool]:
        return {trial.name: trial.obj["spec"].get("suspend", False) for trial in self.harness.trials()}


@pytest.fixture(params=LEVELS)
def lcm(request: pytest.FixtureRequest, harness: OperatorHarness, tmp_path: Path) -> Iterator[Lcm]:
    old = LegacyManager(request.param)
    yield Lcm(harness, old, tmp_path)
    old.close()


@pytest.fixture
def newest(harness: OperatorHarness, tmp_path: Path) -> Iterator[Lcm]:
    old = LegacyManager("1.0.2")
    yield Lcm(harness, old, tmp_path)
    old.close()


def test_what_waits_there_is_imported_suspended_and_once(lcm: Lcm):
    lcm.old.schedule("survey-1", FAR)
    lcm.old.schedule("it's ümlaut/2", FAR)
    lcm.old.engines = {"flies": "active", "flew": "finished"}

    code, printed, _ = lcm.run("--dry-run")
    assert code == 0
    assert "survey-1 2031-07-01 08:00:00 would import" in printed
    assert lcm.suspended() == {}

    code, printed, warned = lcm.run()
    assert code == 0
    assert "survey-1 2031-07-01 08:00:00 imported Trial survey-1, suspended" in printed
    assert "flies - left there it runs there" in printed
    assert "flew - left there it has run there (finished)" in printed
    assert "2 imported, 2 left there" in printed
    assert "suspended: none starts here" in warned
    assert set(lcm.suspended().values()) == {True}
    spec = lcm.trial("survey-1").obj["spec"]
    assert (spec["startTime"], spec["trialID"]) == ("2031-07-01T08:00:00Z", "survey-1")
    assert spec["planRef"] == {"name": "default"}

    code, printed, _ = lcm.run()
    assert (code, "survey-1 2031-07-01 08:00:00 here already Trial survey-1 exists" in printed) == (0, True)
    assert len(lcm.suspended()) == 2


def test_what_differs_or_could_start_twice_is_reported(newest: Lcm):
    newest.harness.trial("moved", start="2031-07-01T09:00:00Z", suspend=True)
    newest.harness.trial("twice", start="2031-07-01T08:00:00Z")
    newest.harness.trial("own", start="2031-07-01T08:00:00Z")
    for trial_id in ("moved", "twice"):
        newest.old.schedule(trial_id, FAR)
    newest.old.schedule("soon", datetime.now(UTC) + timedelta(seconds=60))
    newest.old.schedule("past", datetime.now(UTC) - timedelta(seconds=60))
    newest.old.waiting["where"] = "date[2031-01-01 10:00:00 CST]"
    newest.old.engines = {"own": "active"}

    code, printed, _ = newest.run()

    assert code == 1
    assert (
        "moved 2031-07-01 08:00:00 not imported Trial moved has another start time: 2031-07-01T09:00:00Z"
        in (printed)
    )
    assert (
        "twice 2031-07-01 08:00:00 not imported Trial twice is not suspended: BOTH would start it" in printed
    )
    assert "not imported it starts in" in printed
    assert "not imported its start time has passed" in printed
    assert "where - not imported 2031-01-01 10:00:00: CST is not one known offset" in printed
    assert "it runs there, and Trial own here is waiting to start as well" in printed
    assert newest.suspended() == {"moved": True, "twice": False, "own": False}

    code, printed, _ = newest.run("--timezone", "America/Chicago")
    assert "where 2031-01-01 16:00:00 imported" in printed


def test_a_take_over_removes_there_before_it_lets_start_here(lcm: Lcm):
    lcm.old.schedule("day-1", FAR)
    lcm.old.schedule("day-2", FAR)
    lcm.old.refuses["day-2"] = (500, "Internal Server Error")
    assert lcm.run()[0] == 0

    code, printed, _ = lcm.run("--take-over")

    assert code == 1
    assert "day-1 2031-07-01 08:00:00 resumed Trial day-1 removed there, starts here" in printed
    assert (
        "day-2 2031-07-01 08:00:00 not taken over suspended: the old service answers 500: Internal" in printed
    )
    assert lcm.old.removed == ["day-1"]
    assert lcm.suspended() == {"day-1": False, "day-2": True}
    lcm.harness.until(lcm.trial("day-1"), lambda status: status.get("phase") == "Scheduled")

    lcm.old.refuses.clear()
    assert lcm.run("--take-over")[0] == 0
    assert lcm.suspended() == {"day-1": False, "day-2": False}


def test_a_trial_that_started_during_the_take_over_stays_suspended(newest: Lcm):
    newest.old.schedule("day-1", FAR)
    newest.run()
    newest.old.starts_at_removal = True

    code, printed, _ = newest.run("--take-over")

    assert code == 1
    assert "it has started there: delete Trial day-1" in printed
    assert newest.suspended() == {"day-1": True}


@pytest.mark.parametrize("plan", ["missing", "wrong"])
def test_nothing_is_taken_over_that_could_not_start_here(newest: Lcm, plan: str):
    newest.harness.create(TrialPlan, "wrong", {"parameters": [{"name": "drone"}], "activities": [nap()]})
    newest.old.schedule("day-1", FAR)

    code, printed, said = newest.run("--take-over", "--plan", plan)

    assert (code, newest.old.removed) == ((2, []) if plan == "missing" else (1, []))
    assert "TrialPlan missing does not exist" in said if plan == "missing" else "ParametersInvalid" in printed
    assert set(newest.suspended().values()) <= {True}


def test_automatic_scheduling_must_be_off_for_a_take_over(newest: Lcm):
    newest.old.automatic = True
    newest.old.schedule("day-1", FAR)

    code, _, said = newest.run("--take-over")

    assert (code, newest.suspended()) == (2, {})
    assert f"turn that off first (POST {newest.old.url}/trial/scheduling)" in said


def test_imported_trials_are_resumed_once_the_old_service_lacks_them(newest: Lcm):
    for trial_id in ("day-1", "day-2", "day-3"):
        newest.old.schedule(trial_id, FAR)
    newest.run()
    del newest.old.waiting["day-1"]
    newest.old.engines["day-3"] = newest.old.waiting.pop("day-3") and "active"

    code, printed, _ = newest.run("--resume")

    assert code == 1
    assert "day-1 2031-07-01 08:00:00 resumed Trial day-1 starts here" in printed
    assert "day-2 2031-07-01 08:00:00 not resumed the old service still has it" in printed
    assert (
        "day-3 2031-07-01 08:00:00 not resumed it has started there (active): delete Trial day-3" in printed
    )
    assert newest.suspended() == {"day-1": False, "day-2": True, "day-3": True}

    code, _, said = newest.run("--resume", "--stopped")
    assert (code, "is not stopped: it answers 200" in said) == (2, True)
    newest.old.close()
    code, _, said = newest.run("--resume")
    assert (code, "no connection" in said) == (2, True)
    code, printed, _ = newest.run("--resume", "--stopped")
    assert (code, "day-2 2031-07-01 08:00:00 resumed" in printed) == (0, True)


def test_a_wrong_key_or_cluster_is_named(newest: Lcm):
    assert "the key is missing or wrong" in newest.run(key="wrong")[2]
    newest.run(key=KEY)
    code, _, said = newest.run("--context", "elsewhere")
    assert (code, "has no context elsewhere" in said) == (2, True)


def test_manifests_can_be_printed_instead(newest: Lcm):
    newest.harness.create(TrialRegistry, "default", {"url": "http://127.0.0.1:9", "import": "All"})
    newest.old.schedule("Day 1", FAR)

    code, printed, said = newest.run("--dry-run", "-o", "yaml", "--registry", "default", "--plan", "flight")

    assert code == 0
    assert "TrialRegistry default imports trials by itself" in said
    assert "TrialPlan flight does not exist" in said
    assert "would import" in said
    assert newest.suspended() == {}
    assert "registryRef: name: default" in " ".join(printed.split())


def commands() -> list[str]:
    """Return the commands of the page, in their order, without samples of output and the synopsis."""
    blocks = re.findall(r"^( *)```(\w*)\n(.*?)^\1```", PAGE, re.DOTALL | re.MULTILINE)
    shown = [textwrap.dedent(text) for _, language, text in blocks if not language]
    return [text for text in shown if not text.startswith(("TRIAL ID", "lcm import --from URL"))]


def test_the_commands_of_the_page_move_a_trial(newest: Lcm, programs: Path, tmp_path: Path):
    harness, old = newest.harness, newest.old
    old.schedule("survey-1", FAR)
    old.automatic = True
    (tmp_path / "old-key").write_text(f"{KEY}\n")
    environment = {
        "PATH": f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "KUBECONFIG": str(harness.cluster.kubeconfig),
        "OLD": old.url,
        "LCM": old.url,
        "KEY": KEY,
    }

    def run(command: str) -> str:
        for shown, real in (("namespace lab", f"namespace {harness.namespace}"), ("--plan 5gdrones", "")):
            command = command.replace(shown, real)
        script = re.sub(r"^export .*$", "set -eo pipefail", command, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-ec", script],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    look, still, bring, take, again, check, stopped, back = commands()
    assert "would import" in run(look)
    assert newest.suspended() == {}
    assert "Automatic scheduling: False" in run(still)
    assert "survey-1" in run(bring)
    assert newest.suspended() == {"survey-1": True}
    run(take)
    assert (newest.suspended(), old.removed) == ({"survey-1": False}, ["survey-1"])
    run(again)
    assert "survey-1" in run(check)
    old.close()
    run(stopped)
    assert re.search(r"survey-1 +2031-07-01T08:00:00Z +true", run(back))
    assert newest.suspended() == {"survey-1": True}
