"""Leases: read, create, take over, renew and give back one, each write guarded by the version that was read.

Used by the leader election. Nothing here knows the time that passes: whether a Lease has run out is for those
who watched it, by their own clock. The times written into it are for people.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFound
from lcm_operator.kube.resources import LEASES

_DEFAULT_SECONDS = 10


@dataclass(frozen=True)
class Lease:
    """A Lease as it was read. `holder` is empty if nobody holds it."""

    namespace: str
    name: str
    version: str
    holder: str
    seconds: int
    transitions: int


def seen(raw: Json) -> Lease:
    """Return what matters to us of a Lease as the API server shows it, whoever wrote it."""
    metadata, spec = raw["metadata"], raw.get("spec", {})
    return Lease(
        namespace=metadata["namespace"],
        name=metadata["name"],
        version=metadata["resourceVersion"],
        holder=spec.get("holderIdentity") or "",
        seconds=spec.get("leaseDurationSeconds") or _DEFAULT_SECONDS,
        transitions=spec.get("leaseTransitions") or 0,
    )


async def read(client: Client, namespace: str, name: str) -> Lease | None:
    """Return the Lease, None if there is none. Raises ApiError."""
    try:
        return seen(await client.get(LEASES, namespace, name))
    except NotFound:
        return None


async def create(client: Client, namespace: str, name: str, *, holder: str, seconds: int) -> Lease:
    """Create the Lease as `holder`. Raises AlreadyExists, where another one was faster."""
    manifest = {
        "apiVersion": LEASES.api,
        "kind": LEASES.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": _held_by(holder, seconds, transitions=0),
    }
    return seen(await client.create(LEASES, namespace, manifest))


async def take(client: Client, lease: Lease, *, holder: str, seconds: int) -> Lease:
    """Make `holder` the holder. Raises Conflict, where the Lease has changed since it was read."""
    return await _patch(client, lease, _held_by(holder, seconds, transitions=lease.transitions + 1))


async def renew(client: Client, lease: Lease) -> Lease:
    """Say that the holder is alive. Raises Conflict, where the Lease has changed since it was read."""
    return await _patch(client, lease, {"renewTime": _now()})


async def release(client: Client, lease: Lease) -> None:
    """Give the Lease back: the next one need not wait until it runs out. Raises Conflict as above."""
    await _patch(client, lease, {"holderIdentity": None, "renewTime": _now()})


async def _patch(client: Client, lease: Lease, spec: Json) -> Lease:
    patch = {"metadata": {"resourceVersion": lease.version}, "spec": spec}
    return seen(await client.merge_patch(LEASES, lease.namespace, lease.name, patch))


def _held_by(holder: str, seconds: int, *, transitions: int) -> Json:
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": seconds,
        "acquireTime": _now(),
        "renewTime": _now(),
        "leaseTransitions": transitions,
    }


def _now() -> str:
    """Return the time as metav1.MicroTime, which insists on the six digits."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
