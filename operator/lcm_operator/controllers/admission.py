"""Arming, second half: asks the API server whether an engine's pod would be admitted, without a trace.

Armed means admitted, not reserved: what is free now may be taken at the start time.
"""

from typing import Any

from lcm_operator.api import names, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.domain.pods import engine_lease
from lcm_operator.domain.snapshot import Admission, Problem
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import AlreadyExists, NotFound, Refused
from lcm_operator.kube.resources import LEASES, PODS, ROLE_BINDINGS, SERVICE_ACCOUNTS


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
    try:
        await client.create(PODS, namespace, manifest, dry_run=True)
    except AlreadyExists:
        return Problem(reasons.NAME_TAKEN, f"pod {pod} exists already")
    except Refused as error:
        return Problem(reasons.ADMISSION_REFUSED, error.message)
    try:
        # It will belong to the pod, which is not there yet: the UID stands for the pod's.
        await client.create(LEASES, namespace, engine_lease(engine, pod, engine.metadata.uid), dry_run=True)
    except AlreadyExists:
        return None  # of an earlier pod of the name: it is made anew
    except Refused as error:
        return Problem(reasons.ADMISSION_REFUSED, error.message)
    return None
