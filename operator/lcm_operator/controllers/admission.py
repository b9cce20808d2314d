"""Whether the API server would admit an engine's pod and Lease: checked before the start.

Armed means admitted, not reserved: what is free now may be taken at the start time.
"""

from datetime import timedelta
from typing import Any

from lcm_operator.api import reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.metadata import Metadata
from lcm_operator.domain.manifests import engine_lease
from lcm_operator.domain.snapshot import Admission, Problem
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import (
    AlreadyExistsError,
    ApiError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from lcm_operator.kube.resources import LEASES, PODS

_SERVER_ERROR = 500


async def check(client: Client, engine: TrialEngine, manifest: dict[str, Any]) -> Admission:
    """Return why the pod of `engine` or its Lease cannot be created, if so. Raises UnavailableError."""
    problem = await _problem(client, engine, manifest)
    return Admission(engine.metadata.uid, problem)


async def _problem(client: Client, engine: TrialEngine, manifest: dict[str, Any]) -> Problem | None:
    namespace, pod = engine.metadata.namespace, manifest["metadata"]["name"]
    # It will belong to the pod, which does not exist yet: the TrialEngine's UID takes the place of the pod's.
    lease = engine_lease(engine, pod, engine.metadata.uid)
    try:
        await client.create(PODS, namespace, manifest, dry_run=True)
    except AlreadyExistsError:
        return Problem(
            reasons.NAME_TAKEN, f"pod {pod} exists and does not belong to this TrialEngine; delete it"
        )
    except (RejectedError, UnavailableError) as error:
        return _refused(error)
    try:
        await client.create(LEASES, namespace, lease, dry_run=True)
    except AlreadyExistsError:
        return None  # of an earlier pod of the name: it is made anew
    except (RejectedError, UnavailableError) as error:
        return _refused(error)
    return None


def _refused(error: RejectedError | UnavailableError) -> Problem:
    """Return why a dry run was rejected; raise an error that has nothing to do with the object.

    A webhook that does not answer appears as a 5xx: users should know of it before the start.
    """
    if isinstance(error, RejectedError):
        return Problem(reasons.ADMISSION_REFUSED, error.message)
    if error.status < _SERVER_ERROR:
        raise error
    return Problem(reasons.API_UNAVAILABLE, f"{error.status} {error.message}")


def name_taken(pod: Metadata, engine: TrialEngine) -> Problem:
    """Return why a pod can't be created where one exists; one of an earlier TrialEngine ends by itself."""
    ours = any(
        owner.controller and owner.kind == "TrialEngine" and owner.name == engine.metadata.name
        for owner in pod.owner_references
    )
    if ours:
        return Problem(reasons.WAITING, f"pod {pod.name} of an earlier TrialEngine still exists")
    return Problem(
        reasons.NAME_TAKEN, f"pod {pod.name} exists and does not belong to this TrialEngine; delete it"
    )


def rejected(error: ApiError) -> Problem:
    """Return why a create did not succeed."""
    reason = reasons.ADMISSION_REFUSED
    if isinstance(error, UnavailableError):
        reason = reasons.API_UNAVAILABLE
    elif "is being terminated" in error.message or isinstance(error, NotFoundError):
        reason = reasons.NAMESPACE_TERMINATING
    seconds = error.retry_after if isinstance(error, UnavailableError) else None
    return Problem(reason, f"{error.status} {error.message}", timedelta(seconds=seconds or 0))
