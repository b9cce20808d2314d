"""The chart is removed and installed again: whatever stayed, of either release, continues."""

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from tests.e2e.release import NAME, TRIALS, Release, in_seconds

FIRST_RELEASE = Path(__file__).with_name("first_release.yaml")
ARMED_FOR = "2026-11-26T15:26:23Z"
pytestmark = pytest.mark.usefixtures("uid")


def bring_back(release: Release, text: str) -> None:
    """Make these Trials and TrialEngines anew, with their statuses and the UIDs that they have now."""
    for kind in ("Trial", "TrialEngine"):
        for document in yaml.safe_load_all(text):
            if document["kind"] == kind:
                made = release.kubectl(
                    *("create", f"--namespace={TRIALS}", "--output=json", "--filename=-"),
                    stdin=json.dumps(document),
                )
                text = text.replace(document["metadata"]["uid"], json.loads(made.stdout)["metadata"]["uid"])
    for document in yaml.safe_load_all(text):
        patch = json.dumps({"status": document.get("status", {})})
        which = (document["kind"], document["metadata"]["name"], f"--namespace={TRIALS}")
        release.kubectl("patch", *which, "--subresource=status", "--type=merge", f"--patch={patch}")


@pytest.fixture(scope="module")
def uid(release: Release) -> str:
    """The UID of the Trial `done`, from before the chart went and came again."""
    release.until_phase(release.trial("done", 3), "Succeeded")
    uid: str = release.get("trial", "done")["metadata"]["uid"]
    release.trial("waiting", 70)
    release.helm("uninstall", NAME, "--wait", "--timeout=3m")
    assert release.operators() == []
    bring_back(release, FIRST_RELEASE.read_text(encoding="utf-8").replace(ARMED_FOR, in_seconds(45)))
    release.install()
    return uid


def test_trials_are_kept(release: Release, uid):
    assert release.get("trial", "done")["metadata"]["uid"] == uid


def test_those_of_the_first_release_that_were_armed_start(release: Release):
    release.until_phase("old-armed", "Succeeded")
    assert release.starts("old-armed") == Counter({"old-armed": 1})


def test_failed_trials_of_the_first_release_are_restored_from_checkpoints(release: Release):
    before = release.get("trialengine", "old-failed")["status"]

    release.annotate("old-failed", restore="by-the-next-release")
    # Nobody has seen its pod end: the next attempt waits until its Lease has been silent for long enough.
    release.until_phase("old-failed", "Succeeded", seconds=240)

    after = release.get("trialengine", "old-failed")["status"]
    assert before["attempt"] == 1
    assert after["attempts"][1]["fromActivity"] == "radio-link"
    assert after["activities"][0] == before["activities"][0]


def test_pending_trials_of_the_first_release_can_be_rescheduled(release: Release):
    patch = json.dumps({"spec": {"startTime": in_seconds(5)}})
    release.kubectl("patch", "trial", "old-pending", f"--namespace={TRIALS}", "--type=merge", f"-p={patch}")

    release.until_phase("old-pending", "Succeeded")
    assert release.starts("old-pending") == Counter({"old-pending": 1})


def test_those_that_came_due_later_start_once(release: Release):
    release.until_phase("waiting", "Succeeded")
    assert release.starts("waiting") == Counter({"waiting": 1})


def test_those_that_were_done_are_left_alone(release: Release):
    for trial in ("done", "old-succeeded"):
        assert release.phase(trial) == "Succeeded"
        assert release.starts(trial) == Counter({trial: 1})
