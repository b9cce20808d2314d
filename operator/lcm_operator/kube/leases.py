"""Leases: read, create, take over, renew, release; each write is guarded by the version that was read.

Whether a Lease has expired is decided by its observers, by their own clock; the times in it are for people.
Engines load this: no heavy imports.
"""

from datetime import datetime

from msgspec import Struct

from lcm_operator.api.storage import rfc3339
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.resources import LEASES

_MOST_TRANSITIONS = 2**31 - 1


class Lease(Struct, frozen=True):
    """A Lease as it was read. `holder` is empty if it is released; `seconds` is leaseDurationSeconds or 0."""

    namespace: str
    name: str
    uid: str
    version: str
    holder: str
    seconds: int
    transitions: int


def seen(raw: Json) -> Lease:
    """Return the Lease in an API object, however it was written."""
    metadata, spec = raw["metadata"], raw.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    holder = spec.get("holderIdentity")
    return Lease(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        version=metadata["resourceVersion"],
        holder=holder if isinstance(holder, str) else "",
        seconds=_number(spec.get("leaseDurationSeconds")),
        transitions=_number(spec.get("leaseTransitions")),
    )


def _number(value: object) -> int:
    """Return a number that the API server accepts in a Lease; 0 for anything else."""
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_TRANSITIONS
    return value if sound and isinstance(value, int) else 0


async def read(client: Client, namespace: str, name: str) -> Lease | None:
    """Return the Lease, None if there is none. Raises ApiError."""
    try:
        return seen(await client.get(LEASES, namespace, name))
    except NotFoundError:
        return None


def held_by(holder: str, seconds: int, now: datetime) -> Json:
    """Return the spec of a Lease that `holder` acquires now."""
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": seconds,
        "acquireTime": rfc3339(now),
        "renewTime": rfc3339(now),
    }


async def create(client: Client, namespace: str, name: str, spec: Json) -> Lease:
    """Create the Lease. Raises AlreadyExistsError."""
    manifest = {
        "apiVersion": LEASES.api,
        "kind": LEASES.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec | {"leaseTransitions": 0},
    }
    return seen(await client.create(LEASES, namespace, manifest))


async def take(client: Client, lease: Lease, spec: Json) -> Lease:
    """Take the Lease over. Raises ConflictError if it has changed since it was read."""
    transitions = lease.transitions + 1 if lease.transitions < _MOST_TRANSITIONS else 0
    return await _patch(client, lease, spec | {"leaseTransitions": transitions})


async def renew(client: Client, lease: Lease, now: datetime) -> Lease:
    """Renew the Lease. Raises ConflictError if it has changed since it was read."""
    return await _patch(client, lease, {"renewTime": rfc3339(now)})


async def release(client: Client, lease: Lease, now: datetime) -> None:
    """Release the Lease, so that the next holder need not wait. Raises ConflictError as above."""
    await _patch(client, lease, {"holderIdentity": None, "renewTime": rfc3339(now)})


async def renew_unread(client: Client, namespace: str, name: str, holder: str, now: datetime) -> None:
    """Renew a Lease that was created for `holder`. Raises RejectedError if it has another holder."""
    patch = [
        {"op": "test", "path": "/spec/holderIdentity", "value": holder},
        {"op": "add", "path": "/spec/renewTime", "value": rfc3339(now)},
    ]
    await client.json_patch(LEASES, namespace, name, patch)


async def _patch(client: Client, lease: Lease, spec: Json) -> Lease:
    patch = {"metadata": {"resourceVersion": lease.version}, "spec": spec}
    return seen(await client.merge_patch(LEASES, lease.namespace, lease.name, patch))
