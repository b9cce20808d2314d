"""Reads the fields of a pod that decisions depend on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lcm_operator.api import names
from lcm_operator.domain.snapshot import Pod

_COLLECTED = "DeletionByPodGC"
_FINAL = ("Succeeded", "Failed")


def seen_pod(raw: Mapping[str, Any], created: datetime | None = None, *, removed: bool = False) -> Pod:
    """Return a pod as decisions see it.

    `created`: when its create was acknowledged. `removed`: this is its last state, returned by its deletion.
    """
    metadata, status = raw["metadata"], raw.get("status", {})
    deletion = metadata.get("deletionTimestamp")
    terminated: dict[str, Any] = next(
        (
            container["state"]["terminated"]
            for container in status.get("containerStatuses") or []
            if container["name"] == names.ENGINE_CONTAINER and "terminated" in container.get("state", {})
        ),
        {},
    )
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        created=created or datetime.fromisoformat(metadata["creationTimestamp"]),
        ended=bool(terminated) or _has_ended(status),
        lingers=bool(terminated) and status.get("phase") not in _FINAL,
        never_ran=removed and not raw.get("spec", {}).get("nodeName"),
        deleting=deletion is not None,
        killed_by=datetime.fromisoformat(deletion) if deletion is not None else None,
        disrupted=_disruption(status) is not None,
        exit_code=terminated.get("exitCode"),
        message=str(terminated.get("message") or status.get("message") or "").strip(),
    )


def _has_ended(status: Mapping[str, Any]) -> bool:
    """Return whether a node has seen all containers end.

    A kubelet reports a final phase only after that. The pod garbage collector also writes one into pods whose
    node is unreachable or was deleted: their containers may still run.
    """
    if status.get("phase") not in _FINAL:
        return False
    containers = status.get("containerStatuses") or []
    if any("running" in (container.get("state") or {}) for container in containers):
        return False
    return bool(containers) or _disruption(status) != _COLLECTED


def _disruption(status: Mapping[str, Any]) -> str | None:
    """Return why the pod was disrupted (a drain, a lost node, a preemption), None if it was not."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return str(condition.get("reason") or "")
    return None
