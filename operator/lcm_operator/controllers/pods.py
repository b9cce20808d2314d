"""From a pod as the API server shows it to what matters to us."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lcm_operator.api import names
from lcm_operator.domain.snapshot import Pod


def seen_pod(raw: Mapping[str, Any], created: datetime | None = None) -> Pod:
    """Return what matters to us of a pod as it was read; `created`: when its create was acknowledged."""
    metadata, status = raw["metadata"], raw.get("status", {})
    ended = status.get("phase") in ("Succeeded", "Failed")
    terminated: dict[str, Any] = next(
        (
            container["state"]["terminated"]
            for container in status.get("containerStatuses", [])
            if container["name"] == names.ENGINE_CONTAINER and "terminated" in container.get("state", {})
        ),
        {},
    )
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        created=created or datetime.fromisoformat(metadata["creationTimestamp"]),
        ended=ended,
        deleting="deletionTimestamp" in metadata,
        disrupted=any(
            condition["type"] == "DisruptionTarget" and condition["status"] == "True"
            for condition in status.get("conditions", [])
        ),
        exit_code=terminated.get("exitCode"),
        message=str(terminated.get("message") or status.get("message") or "").strip(),
    )
