"""The status of a pod, as kubelet would write it, from the states of its containers.

Computed after each change of a pod. Pure: the time is an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devcluster.node.downward import ADDRESS
from devcluster.node.states import Started, State, Terminated, Waiting, timestamp

Json = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """Why the pod is Failed, whatever its containers did."""

    reason: str
    message: str


@dataclass(frozen=True)
class Standing:
    """All that a status is made of: `states` by container name, and whether nothing more will happen."""

    started_at: float
    states: Mapping[str, State]
    over: bool = False
    verdict: Verdict | None = None


def pod_status(pod: Json, standing: Standing, now: float) -> Json:
    """Return the status to write, complete but for conditions of others."""
    spec = pod["spec"]
    phase = _phase(spec, standing)
    status: Json = {
        "phase": phase,
        "hostIP": ADDRESS,
        "hostIPs": [{"ip": ADDRESS}],
        "podIP": ADDRESS,
        "podIPs": [{"ip": ADDRESS}],
        "startTime": timestamp(standing.started_at),
        "observedGeneration": pod["metadata"].get("generation"),
        "conditions": _conditions(pod, phase, standing, now),
    }
    if any(not isinstance(state, Waiting) for state in standing.states.values()) or not standing.over:
        for field, kind in (("initContainerStatuses", "initContainers"), ("containerStatuses", "containers")):
            status[field] = [_container_status(item, standing) for item in spec.get(kind, [])]
    if standing.verdict:
        status["reason"] = standing.verdict.reason
        status["message"] = standing.verdict.message
    return status


def _phase(spec: Json, standing: Standing) -> str:
    states = [standing.states[item["name"]] for item in spec["containers"]]
    if standing.over:
        succeeded = all(isinstance(state, Terminated) and state.exit_code == 0 for state in states)
        return "Succeeded" if succeeded and not standing.verdict else "Failed"
    return "Pending" if any(isinstance(state, Waiting) for state in states) else "Running"


def _conditions(pod: Json, phase: str, standing: Standing, now: float) -> list[Json]:
    spec = pod["spec"]
    initialized = all(
        isinstance(state := standing.states[item["name"]], Terminated) and state.exit_code == 0
        for item in spec.get("initContainers", [])
    )
    ready = all(isinstance(standing.states[item["name"]], Started) for item in spec["containers"])
    why_not = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "ContainersNotReady")
    wanted = {
        "PodReadyToStartContainers": (not standing.over, ""),
        "Initialized": (initialized, "" if initialized else "ContainersNotInitialized"),
        "ContainersReady": (ready, "" if ready else why_not),
        "Ready": (ready, "" if ready else why_not),
    }
    before = {item["type"]: item for item in pod.get("status", {}).get("conditions", [])}
    return [
        _condition(kind, holds, reason, before.get(kind), now) for kind, (holds, reason) in wanted.items()
    ]


def _condition(kind: str, holds: bool, reason: str, before: Json | None, now: float) -> Json:
    value = "True" if holds else "False"
    since = timestamp(now)
    if before and before["status"] == value and before.get("lastTransitionTime"):
        since = before["lastTransitionTime"]
    return {"type": kind, "status": value, "reason": reason or None, "lastTransitionTime": since}


def _container_status(container: Json, standing: Standing) -> Json:
    state = standing.states[container["name"]]
    status: Json = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "restartCount": 0,
        "ready": isinstance(state, Started),
        "started": isinstance(state, Started),
    }
    match state:
        case Waiting():
            status["state"] = {"waiting": {"reason": state.reason, "message": state.message or None}}
        case Started():
            status["state"] = {"running": {"startedAt": timestamp(state.started_at)}}
            status["containerID"] = f"local://{state.pid}"
        case Terminated():
            status["state"] = {
                "terminated": {
                    "exitCode": state.exit_code,
                    "signal": state.signal,
                    "reason": state.reason,
                    "message": state.message or None,
                    "startedAt": timestamp(state.started_at),
                    "finishedAt": timestamp(state.finished_at),
                }
            }
    return status
