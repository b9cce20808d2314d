"""Removes our finalizer from a TrialEngine that is being deleted and can't be parsed."""

from typing import Any

from lcm_operator.api import names
from lcm_operator.api.metadata import Metadata, metadata_of
from lcm_operator.controllers.pods import seen_pod
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.resources import PODS, TRIAL_ENGINES

LET_GO = (
    "the TrialEngine cannot be parsed; its finalizer was removed after its pods had ended, and whether "
    "`finally` ran is unknown"
)


async def end_unreadable(
    client: Client, namespace: str, engine: Metadata, *, end_pods: bool
) -> dict[str, Any] | None:
    """Remove the finalizer and return the TrialEngine, unless a pod of it runs; then return None.

    `end_pods`: such pods are deleted. Raises ApiError; NotFoundError if the TrialEngine no longer exists.
    """
    pods, _ = await client.list(PODS, namespace, label_selector=f"{names.LABEL_TRIAL}={engine.name}")
    own = [pod for pod in pods if metadata_of(pod).controller_uid == engine.uid]
    running = [metadata_of(pod) for pod in own if not seen_pod(pod).ended]
    for pod in running if end_pods else ():
        try:
            await client.delete(PODS, namespace, pod.name, uid=pod.uid)
        except NotFoundError:
            continue
    if running:
        return None
    left = [name for name in engine.finalizers if name != names.FINALIZER_ENGINE]
    patch = {"metadata": {"resourceVersion": engine.resource_version, "finalizers": left}}
    return await client.merge_patch(TRIAL_ENGINES, namespace, engine.name, patch)
