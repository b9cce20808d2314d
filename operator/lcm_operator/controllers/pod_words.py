"""Why a pod does not run yet, in the words of the scheduler, the kubelet or the node.

    PodScheduled=False ──────────> its reason and message (Unschedulable)
    container waiting ───────────> its reason and message (ImagePullBackOff, CreateContainerConfigError)
    on a node, still creating ───> the last Warning Event of the pod (FailedMount), which has to be read
    no word for a second ────────> no node is assigned

A pod that is on its way to run has no fault, and no words.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

_ON_ITS_WAY = frozenset({"", "ContainerCreating", "PodInitializing"})
UNASSIGNED_AFTER = timedelta(seconds=1)
CREATING_AFTER = timedelta(seconds=1)
_LONGEST = 700


class Pending(NamedTuple):
    """A pod that has not begun to run. `why`: what keeps it from running, empty if nothing is known to."""

    why: str = ""
    is_creating: bool = False
    """A node has it and reports no fault: its Events may."""


def pending(raw: Mapping[str, Any], since: timedelta) -> Pending:
    """Return why a pod in phase Pending does not run; `since`: for how long it has been seen."""
    spec, status = _mapping(raw.get("spec")), _mapping(raw.get("status"))
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in _items(status.get(field)):
            waiting = _mapping(_mapping(container.get("state")).get("waiting"))
            reason = str(waiting.get("reason") or "")
            if reason not in _ON_ITS_WAY:
                return Pending(f"container {container.get('name')}: {_words(reason, waiting.get('message'))}")
    scheduled = next(
        (each for each in _items(status.get("conditions")) if each.get("type") == "PodScheduled"), {}
    )
    if scheduled.get("status") == "False":
        return Pending(_words(str(scheduled.get("reason") or "Unschedulable"), scheduled.get("message")))
    if status.get("message"):
        return Pending(_words(str(status.get("reason") or "Pending"), status["message"]))
    if not spec.get("nodeName"):
        if since < UNASSIGNED_AFTER:
            return Pending()
        scheduler = spec.get("schedulerName") or "default-scheduler"
        return Pending(f"no node is assigned, and scheduler {scheduler} has not reported why; does it run?")
    return Pending(is_creating=since >= CREATING_AFTER)


def event_words(event: Mapping[str, Any]) -> str:
    """Return the words of an Event about a pod."""
    return _words(str(event.get("reason") or ""), event.get("message"))


def _words(reason: str, message: object) -> str:
    text = " ".join(str(message or "").split())
    return (f"{reason}: {text}" if text else reason)[:_LONGEST]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
