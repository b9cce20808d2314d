"""Arming, second half: asks the API server whether an engine's pod would be admitted, without a trace.

Armed means admitted, not reserved: what is free now may be taken at the start time.
"""

from typing import Any

from lcm_operator.api import names, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.domain.snapshot import Admission, Problem
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import AlreadyExists, NotFound, Refused
from lcm_operator.kube.resources import PODS, ROLE_BINDINGS, SERVICE_ACCOUNTS


async def check(client: Client, engine: TrialEngine, manifest: dict[str, Any]) -> Admission:
    """Return what stands in the way of the pod of `engine`. Raises Unavailable."""
    problem = await _problem(client, engine.metadata.namespace, manifest)
    return Admission(engine.metadata.uid, problem)


async def _problem(client: Client, namespace: str, manifest: dict[str, Any]) -> Problem | None:
    account = names.ENGINE_SERVICE_ACCOUNT
    for resource, reason in (
        (SERVICE_ACCOUNTS, reasons.SERVICE_ACCOUNT_NOT_FOUND),
        (ROLE_BINDINGS, reasons.ROLE_BINDING_NOT_FOUND),
    ):
        try:
            await client.get(resource, namespace, account)
        except NotFound:
            return Problem(reason, f"{resource.kind} {account} does not exist in {namespace}")
    try:
        await client.create(PODS, namespace, manifest, dry_run=True)
    except AlreadyExists:
        return Problem(reasons.NAME_TAKEN, f"pod {manifest['metadata']['name']} exists already")
    except Refused as error:
        return Problem(reasons.ADMISSION_REFUSED, error.message)
    return None
