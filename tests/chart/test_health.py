"""What Argo CD, Helm and Flux make of our objects in every state, by their own programs."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.states.states import STATES
from tools.chart.programs import KSTATUS, LUA

from devcluster.cluster.layout import REPOSITORY
from devcluster.programs.building import built

ARGOCD = REPOSITORY / "deploy" / "argocd"
Json = dict[str, Any]
API_VERSION = "lcm.5gdrones.eu/v1alpha1"
# State: health and kstatus of the Trial, then of its TrialEngine if it has one. Restoring and TakingPlan lie
# between two writes: the Trial does not show yet what its TrialEngine does.
EXPECTED = {
    "AwaitingRegistry": ("Healthy", "Current"),
    "Scheduled": ("Healthy", "Current"),
    "NotArmed": ("Degraded", "Failed"),
    "Armed": ("Healthy", "Current", "Healthy", "Current"),
    "Suspended": ("Suspended", "Current"),
    "Duplicate": ("Degraded", "Failed"),
    "Due": ("Healthy", "Current", "Healthy", "Current"),
    "Latched": ("Progressing", "Current", "Healthy", "Current"),
    "Running": ("Healthy", "Current", "Healthy", "Current"),
    "Restoring": ("Degraded", "Failed", "Healthy", "Current"),
    "TakingPlan": ("Progressing", "InProgress", "Healthy", "Current"),
    "Failed": ("Degraded", "Failed", "Degraded", "Failed"),
    "Reporting": ("Degraded", "Failed", "Degraded", "Failed"),
    "Ending": ("Degraded", "Failed", "Degraded", "Failed"),
    "AwaitingRestore": ("Degraded", "Failed", "Degraded", "Failed"),
    "GivingUp": ("Degraded", "Failed", "Degraded", "Failed"),
    "Succeeded": ("Healthy", "Current", "Healthy", "Current"),
    "Stopping": ("Healthy", "Current", "Healthy", "Current"),
    "Removing": ("Healthy", "Current", "Healthy", "Terminating"),
    "Missed": ("Degraded", "Failed"),
    "Cancelled": ("Healthy", "Current"),
    "EngineLost": ("Degraded", "Failed"),
}


def registry(status: Json | None, **spec: Any) -> Json:
    known = {"metadata": {"name": "default", "namespace": "lab", "generation": 2}, "spec": spec}
    return (
        {"apiVersion": API_VERSION, "kind": "TrialRegistry"} | known | ({"status": status} if status else {})
    )


def seen(generation: int, **conditions: str) -> Json:
    shown = [
        {"type": kind, "status": "True", "reason": reason, "message": "m"}
        for kind, reason in conditions.items()
    ]
    return {"observedGeneration": generation, "conditions": shown}


OTHERS = {
    "a plan": ({"kind": "TrialPlan", "metadata": {"name": "a", "generation": 1}}, "Healthy", "Current"),
    "a registry that nobody has seen": (registry({"observedGeneration": -1}), "Progressing", "InProgress"),
    "a registry after an edit": (registry(seen(1, Synced="Synced")), "Progressing", "InProgress"),
    "a registry": (registry(seen(2, Synced="Synced")), "Healthy", "Current"),
    "a suspended registry": (registry(seen(2), suspend=True), "Suspended", "Current"),
    "a registry that failed once": (
        registry(seen(2, Reconciling="RegistryUnreachable")),
        "Progressing",
        "InProgress",
    ),
    "a registry that fails": (registry(seen(2, Stalled="RegistryUnreachable")), "Degraded", "Failed"),
}


def lua(value: object) -> str:
    """Return a value as a Lua literal; JSON's strings are Lua's, but for a few escapes."""
    if isinstance(value, dict):
        return "{" + ",".join(f"[{lua(key)}]={lua(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "{" + ",".join(map(lua, value)) + "}"
    if value is None:
        return "nil"
    return json.dumps(value, ensure_ascii=False)


def health(script: str, objects: list[Json], folder: Path) -> list[str]:
    """Return what Argo CD shows of each object: its health and the message."""
    judge = f"local function judge(obj)\nlocal function check()\n{script}\nend\nreturn check()\nend\n"
    calls = [
        f"local found = judge({lua(each)})\nprint(found.status .. ' ' .. found.message)" for each in objects
    ]
    program = folder / "health.lua"
    program.write_text(judge + "\n".join(f"do {call} end" for call in calls), encoding="utf-8")
    return run([str(built(LUA, print) / "glua"), str(program)])


def kstatus(objects: list[Json]) -> list[str]:
    """Return what Helm and Flux wait by."""
    return run([str(built(KSTATUS, print) / "kstatus")], "".join(map(json.dumps, objects)))


def run(command: list[str], given: str = "") -> list[str]:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def script() -> str:
    """The script as Argo CD is given it."""
    shipped = yaml.safe_load((ARGOCD / "argocd-cm.yaml").read_text())["data"]["resource.customizations"]
    found: str = yaml.safe_load(shipped)["lcm.5gdrones.eu/*"]["health.lua"]
    return found


def test_configmap_for_argo_cd_has_the_script(script):
    assert script == (ARGOCD / "health.lua").read_text(encoding="utf-8")


def test_a_trial_in_every_state_is_judged_as_a_person_expects(script, tmp_path):
    objects, states = [], []
    for state in STATES:
        if state.name.startswith("Unreadable"):
            continue
        harness = state.reach()
        assert harness.trial is not None
        there = [("Trial", harness.trial), ("TrialEngine", harness.engine)]
        of_state = [each | {"apiVersion": API_VERSION, "kind": kind} for kind, each in there if each]
        states.append((state.name, len(of_state)))
        objects += of_state

    words = zip(health(script, objects, tmp_path), kstatus(objects), strict=True)
    judged = [(shown.split()[0], status) for shown, status in words]
    found = {name: sum((judged.pop(0) for _ in range(count)), ()) for name, count in states}
    assert found == EXPECTED


def test_registries_and_plans_are_judged_as_a_person_expects(script, tmp_path):
    objects = [{"apiVersion": API_VERSION} | given for given, _, _ in OTHERS.values()]
    shown = [each.split()[0] for each in health(script, objects, tmp_path)]
    found = dict(zip(OTHERS, zip(shown, kstatus(objects), strict=True), strict=True))
    assert found == {name: (argo, status) for name, (_, argo, status) in OTHERS.items()}


def test_a_degraded_trial_says_why(script, tmp_path):
    status = seen(1, Stalled="PlanNotFound") | {"startTime": "2026-11-24T10:00:00Z"}
    trial = {"kind": "Trial", "metadata": {"generation": 1}, "spec": {}, "status": status}
    assert health(script, [trial], tmp_path) == ["Degraded PlanNotFound: m"]
