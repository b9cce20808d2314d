"""docs/backup.md: no trial starts twice, whatever a backup brought back, and its commands do what it says."""

import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
from pykube.objects import NamespacedAPIObject
from tests.cluster.operator_harness import Trial, TrialEngine, condition, in_seconds, nap
from tests.cluster.proxied_harness import ProxiedHarness

from devcluster.cluster.layout import REPOSITORY

FINALLY = {"finally": [nap("release")]}
LOST_AT_RESTORE = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "finalizers")


def saved(thing: NamespacedAPIObject) -> dict[str, Any]:
    """Return an object as a backup holds it: what the API server sets is left out, the status is in it."""
    thing.reload()
    metadata = {key: value for key, value in thing.obj["metadata"].items() if key not in LOST_AT_RESTORE}
    return {**thing.obj, "metadata": metadata}


def restore(harness: ProxiedHarness, backup: dict[str, Any], *, status: bool = False, **spec: Any) -> Any:
    """Create an object of a backup, as Velero does: its status is lost unless it is asked for."""
    kind: type[NamespacedAPIObject] = Trial if backup["kind"] == "Trial" else TrialEngine
    thing = kind(harness.api, {**backup, "spec": backup["spec"] | spec})
    thing.create()
    if status:
        thing.patch({"status": backup["status"]}, subresource="status")
    return thing


def wipe(harness: ProxiedHarness) -> None:
    """Lose everything: Trials, engines and pods."""
    for thing in (*harness.trials(), *harness.engines(), *harness.pods()):
        if thing.obj["metadata"].get("finalizers"):
            thing.patch({"metadata": {"finalizers": None}})
        thing.delete()
    harness.wait(lambda: not (harness.trials() or harness.engines()))


def flown(harness: ProxiedHarness, name: str, **spec: Any) -> Trial:
    trial = harness.trial(name, start=in_seconds(1), **spec)
    harness.until_condition(trial, "Started", "True", "EngineStarted")
    return trial


def succeed(harness: ProxiedHarness, trial: Trial) -> None:
    def has_succeeded() -> bool:
        harness.play(lambda engine: {"nap": "Succeeded"} if engine.name == trial.name else None)
        return condition(reloaded(trial), "Succeeded")[0] == "True"

    harness.wait(has_succeeded)


def reloaded(thing: Any) -> Any:
    thing.reload()
    return thing


@pytest.mark.parametrize("suspend", [False, True])
def test_a_trial_without_its_status_runs_again_unless_it_is_suspended(proxied: ProxiedHarness, suspend: bool):
    trial = flown(proxied, "done", startingDeadlineSeconds=3600)
    succeed(proxied, trial)
    backup = saved(trial)
    trial.delete()
    proxied.wait(lambda: not (proxied.trials() or proxied.engines()))

    restored = restore(proxied, backup, suspend=suspend)

    if suspend:
        proxied.until(restored, lambda status: status.get("phase") == "Suspended")
    else:
        proxied.until_condition(restored, "Started", "True", "EngineStarted")
    assert proxied.taken_creates("done")["done-1"] == (1 if suspend else 2)


def test_trials_with_their_status_never_start_twice(proxied: ProxiedHarness):
    done = flown(proxied, "done", startingDeadlineSeconds=3600)
    flying = flown(
        proxied, "flying", startingDeadlineSeconds=3600, activities=[nap("a"), nap("b")], **FINALLY
    )
    quick = flown(proxied, "quick", startingDeadlineSeconds=3600)
    ahead = proxied.trial("ahead", start=in_seconds(15), startingDeadlineSeconds=3600)
    succeed(proxied, done)
    proxied.wait(lambda: "podRef" in proxied.engine("flying").obj.get("status", {}))
    proxied.checkpoint(proxied.engine("flying"), a="Succeeded")
    backups = [saved(thing) for thing in (done, flying, quick, ahead)]

    proxied.operator.kill()
    wipe(proxied)
    done, flying, quick, ahead = (restore(proxied, backup, status=True) for backup in backups)
    proxied.operator.start()

    proxied.until_condition(ahead, "Started", "True", "EngineStarted")
    proxied.until_condition(flying, "Succeeded", "False", "EngineLost")
    proxied.until_condition(quick, "Succeeded", "False", "Cancelled")
    assert condition(reloaded(done), "Succeeded") == ("True", "Completed")
    names = ("done", "flying", "quick", "ahead")
    assert [proxied.taken_creates(name).total() for name in names] == [1, 1, 1, 1]


def commands() -> list[str]:
    """Return the commands of the page that work without the chart's Deployment."""
    page = (REPOSITORY / "docs" / "backup.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```\n(.*?)^\1```", page, re.DOTALL | re.MULTILINE)
    shown = [textwrap.dedent(text) for _, text in blocks]
    return [re.sub(r"^kubectl --namespace lcm scale .*\n", "", text, flags=re.MULTILINE) for text in shown]


def test_the_commands_of_the_page_restore_suspended(proxied: ProxiedHarness, programs: Path, tmp_path: Path):
    def run(command: str) -> str:
        environment = {
            "PATH": f"{programs}:/usr/bin:/bin",
            "KUBECONFIG": str(proxied.cluster.kubeconfig),
        }
        return subprocess.run(
            [
                "bash",
                "-o",
                "pipefail",
                "-ec",
                command.replace("namespace lab", f"namespace {proxied.namespace}"),
            ],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    save, _, create, suspend, show, resume, delete = commands()
    flown(proxied, "old", startingDeadlineSeconds=3600)
    proxied.trial("survey-1", start="2031-07-01T08:00:00Z")
    run(save)
    proxied.operator.kill()
    wipe(proxied)

    run(create)
    run(suspend)
    proxied.operator.start()
    for trial in proxied.trials():
        proxied.until(trial, lambda status: status.get("phase") == "Suspended")
    assert "old" in run(show)
    run(resume)

    survey = proxied.get(Trial, "survey-1")
    proxied.until(survey, lambda status: status.get("phase") == "Scheduled")
    assert proxied.taken_creates("old").total() == 1
    run(delete)
    assert proxied.trials() == []
