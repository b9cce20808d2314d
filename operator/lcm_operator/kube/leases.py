"""Leases: read, create, take over, renew and give back one; each write is guarded by what was read.

Nothing here knows the time that passes: whether a Lease has run out is for those who watched it, by their own
clock. The times written into it are for people. An engine loads this: nothing heavy.
"""

from datetime import datetime

from msgspec import Struct

from lcm_operator.api.storage import rfc3339
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.resources import LEASES

_MOST_TRANSITIONS = 2**31 - 1


class Lease(Struct, frozen=True):
    """A Lease as it was read. `holder` is empty if nobody holds it.

    `seconds`: the duration that it claims, 0 if it claims none.
    """

    namespace: str
    name: str
    uid: str
    version: str
    holder: str
    seconds: int
    transitions: int


def seen(raw: Json) -> Lease:
    """Return what matters to us of a Lease as the API server shows it, whoever wrote it and whatever."""
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
    """Return a number as the API server takes it in a Lease; 0 for anything else."""
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_TRANSITIONS
    return value if sound and isinstance(value, int) else 0


async def read(client: Client, namespace: str, name: str) -> Lease | None:
    """Return the Lease, None if there is none. Raises ApiError."""
    try:
        return seen(await client.get(LEASES, namespace, name))
    except NotFoundError:
        return None


def held_by(holder: str, seconds: int, now: datetime) -> Json:
    """Return the spec of a Lease that `holder` has from now on."""
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": seconds,
        "acquireTime": rfc3339(now),
        "renewTime": rfc3339(now),
    }


async def create(client: Client, namespace: str, name: str, spec: Json) -> Lease:
    """Create the Lease. Raises AlreadyExistsError, where another one was faster."""
    manifest = {
        "apiVersion": LEASES.api,
        "kind": LEASES.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec | {"leaseTransitions": 0},
    }
    return seen(await client.create(LEASES, namespace, manifest))


async def take(client: Client, lease: Lease, spec: Json) -> Lease:
    """Take the Lease over. Raises ConflictError, where it has changed since it was read."""
    transitions = lease.transitions + 1 if lease.transitions < _MOST_TRANSITIONS else 0
    return await _patch(client, lease, spec | {"leaseTransitions": transitions})


async def renew(client: Client, lease: Lease, now: datetime) -> Lease:
    """Say that the holder is alive. Raises ConflictError, where the Lease has changed since it was read."""
    return await _patch(client, lease, {"renewTime": rfc3339(now)})


async def release(client: Client, lease: Lease, now: datetime) -> None:
    """Give the Lease back: the next one need not wait until it runs out. Raises ConflictError as above."""
    await _patch(client, lease, {"holderIdentity": None, "renewTime": rfc3339(now)})


async def renew_unread(client: Client, namespace: str, name: str, holder: str, now: datetime) -> None:
    """Renew a Lease that others made for `holder`. Raises RejectedError, where it is somebody else's."""
    patch = [
        {"op": "test", "path": "/spec/holderIdentity", "value": holder},
        {"op": "add", "path": "/spec/renewTime", "value": rfc3339(now)},
    ]
    await client.json_patch(LEASES, namespace, name, patch)


async def _patch(client: Client, lease: Lease, spec: Json) -> Lease:
    patch = {"metadata": {"resourceVersion": lease.version}, "spec": spec}
    return seen(await client.merge_patch(LEASES, lease.namespace, lease.name, patch))
