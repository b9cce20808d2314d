"""The manifests of Events about our objects, which `kubectl describe` shows."""

import hashlib
import uuid
from datetime import datetime
from typing import Any

from lcm_operator.api.metadata import Metadata
from lcm_operator.api.names import API_VERSION
from lcm_operator.api.storage import rfc3339
from lcm_operator.kube.resources import LEASES

COMPONENT = "lcm-operator"
_LONGEST_MESSAGE = 1024


def event(
    kind: str,
    about: Metadata,
    *,
    reason: str,
    message: str,
    warning: bool,
    now: datetime,
    once: bool = False,
    detail: str = "",
) -> dict[str, Any]:
    """Return the manifest of a core/v1 Event about an object of our group, or about a Lease.

    `once`: its name is derived from the object's UID, the reason and `detail`: there can be only one.
    """
    name = f"{about.uid} {reason}{detail}".encode(errors="replace")
    suffix = hashlib.sha256(name).hexdigest() if once else uuid.uuid4().hex
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{about.name[:200]}.{suffix[:16]}", "namespace": about.namespace},
        "involvedObject": {
            "apiVersion": LEASES.api if kind == LEASES.kind else API_VERSION,
            "kind": kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
        },
        "reason": reason,
        "message": _cut(message),
        "type": "Warning" if warning else "Normal",
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
        "action": reason,
        "eventTime": rfc3339(now),
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }


def _cut(message: str) -> str:
    """Return a message cut to the limit of an Event, which counts bytes."""
    return message.encode(errors="replace")[:_LONGEST_MESSAGE].decode(errors="ignore")
