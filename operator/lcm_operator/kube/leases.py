"""Leases: read, create, take over, renew and give back one, each write guarded by the version that was read.

Used by the leader election. Nothing here knows the time that passes: whether a Lease has run out is for those
who watched it, by their own clock. The times written into it are for people.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFound
from lcm_operator.kube.resources import LEASES

_MOST_TRANSITIONS = 2**31 - 1


@dataclass(frozen=True)
class Lease:
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
    transitions = lease.transitions + 1 if lease.transitions < _MOST_TRANSITIONS else 0
    return await _patch(client, lease, _held_by(holder, seconds, transitions=transitions))


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
