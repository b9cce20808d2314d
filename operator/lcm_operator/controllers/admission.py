"""Arming, second half: asks the API server whether an engine's pod would be admitted, without a trace.

Armed means admitted, not reserved: what is free now may be taken at the start time.
"""

from typing import Any

from lcm_operator.api import names, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.domain.pods import engine_lease
from lcm_operator.domain.snapshot import Admission, Problem
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import AlreadyExists, NotFound, Refused, Unavailable
from lcm_operator.kube.resources import LEASES, PODS, ROLE_BINDINGS, SERVICE_ACCOUNTS

_SERVER_ERROR = 500


async def check(client: Client, engine: TrialEngine, manifest: dict[str, Any]) -> Admission:
    """Return what stands in the way of the pod of `engine`, and of its Lease. Raises Unavailable."""
    problem = await _problem(client, engine, manifest)
    return Admission(engine.metadata.uid, problem)


async def _problem(client: Client, engine: TrialEngine, manifest: dict[str, Any]) -> Problem | None:
    account, namespace = names.ENGINE_SERVICE_ACCOUNT, engine.metadata.namespace
    for resource, reason in (
        (SERVICE_ACCOUNTS, reasons.SERVICE_ACCOUNT_NOT_FOUND),
        (ROLE_BINDINGS, reasons.ROLE_BINDING_NOT_FOUND),
    ):
        try:
            await client.get(resource, namespace, account)
        except NotFound:
            return Problem(reason, f"{resource.kind} {account} does not exist in {namespace}")
    pod = manifest["metadata"]["name"]
    # It will belong to the pod, which is not there yet: the UID stands for the pod's.
    lease = engine_lease(engine, pod, engine.metadata.uid)
    try:
        await client.create(PODS, namespace, manifest, dry_run=True)
    except AlreadyExists:
        return Problem(reasons.NAME_TAKEN, f"pod {pod} exists already")
    except (Refused, Unavailable) as error:
        return _refused(error)
    try:
        await client.create(LEASES, namespace, lease, dry_run=True)
    except AlreadyExists:
        return None  # of an earlier pod of the name: it is made anew
    except (Refused, Unavailable) as error:
        return _refused(error)
    return None


def _refused(error: Refused | Unavailable) -> Problem:
    """Return what a dry run was told; raise what says nothing about the object itself.

    A webhook that gives no answer comes as a 5xx: that is worth telling before the start.
    """
    if isinstance(error, Refused):
        return Problem(reasons.ADMISSION_REFUSED, error.message)
    if error.status < _SERVER_ERROR:
        raise error
    return Problem(reasons.API_UNAVAILABLE, f"{error.status} {error.message}")
