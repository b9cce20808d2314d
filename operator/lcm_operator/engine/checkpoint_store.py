"""Saves checkpoints in the TrialEngine's status.

A save returns only after the API server has acknowledged it. It is fenced by the resourceVersion that it was
computed from: a pod that lost its grant can neither save nor continue. It must write the engine's own fields
and no others.
"""

from lcm_operator import logs
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import serialise, status_patch
from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.grant import withdrawal
from lcm_operator.engine.inbox import accounted
from lcm_operator.engine.interrupts import Observe
from lcm_operator.engine.outcome import Ending, EngineEndedError
from lcm_operator.engine.trial_engine import DELETED, REPLACED, read
from lcm_operator.kube.backoff import Backoff
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import elapsed
from lcm_operator.kube.errors import ConflictError, NotFoundError, RejectedError, UnavailableError
from lcm_operator.kube.resources import TRIAL_ENGINES

log = logs.get(__name__)
_REFUSED_SECONDS = 60.0


class CheckpointStore:
    """The one writer of the engine's fields, from the TrialEngine as granted.

    `observe` is called with the TrialEngine as each write leaves it, before the save returns, so that nothing
    begins after a save that followed a stop.
    """

    def __init__(self, client: Client, granted: TrialEngine, pod_uid: str, observe: Observe) -> None:
        self._client = client
        self._base = granted
        self._pod_uid = pod_uid
        self._observe = observe

    async def save(self, checkpoint: Checkpoint) -> Checkpoint:
        """Store `checkpoint` and return it as stored, with the signals accounted for.

        While the API server is away it retries forever; a write whose answer was lost is recognised by its
        mark. Raises EngineEndedError if the grant was withdrawn, or the API server goes on rejecting.
        """
        backoff = Backoff()
        written, rejected_since = False, None
        while True:
            try:
                if written and await self._is_stored(checkpoint):
                    break
                written = True
                await self._write(checkpoint)
                break
            except ConflictError:
                log.info("TrialEngine has changed; reading it again")
            except UnavailableError as error:
                await backoff.wait("saving the checkpoint", error)
            except RejectedError as error:
                rejected_since = rejected_since or elapsed()
                if elapsed() - rejected_since >= _REFUSED_SECONDS:
                    why = f"the API server rejected the checkpoint for {_REFUSED_SECONDS:g} s: {error}"
                    raise EngineEndedError(Ending.CHECKPOINT_REFUSED, why) from error
                await backoff.wait("saving the checkpoint", error)
            except NotFoundError as error:
                raise EngineEndedError(Ending.WITHDRAWN, DELETED) from error
        self._observe(self._base)
        return Checkpoint.from_storage(
            self._base.status, (activity.name for activity in checkpoint.activities)
        )

    async def _write(self, checkpoint: Checkpoint) -> None:
        metadata = self._base.metadata
        old = serialise(self._base.status)
        own = accounted(checkpoint, self._base.spec, self._base.status).for_storage()
        new = old | {field: value for field, value in own.items() if value or field in old}
        patch = status_patch(metadata.resource_version, old, new)
        raw = await self._client.json_patch(
            TRIAL_ENGINES, metadata.namespace, metadata.name, patch, subresource="status"
        )
        self._base = read(raw)

    async def _is_stored(self, checkpoint: Checkpoint) -> bool:
        """Read the TrialEngine again; return whether it has `checkpoint`, although no answer arrived."""
        known = self._base
        fresh = read(await self._client.get(TRIAL_ENGINES, known.metadata.namespace, known.metadata.name))
        reason = REPLACED if fresh.metadata.uid != known.metadata.uid else withdrawal(fresh, self._pod_uid)
        stored = fresh.status.checkpoint
        if not reason and stored not in (known.status.checkpoint, checkpoint.mark):
            reason = "another process has written the checkpoint"
        if reason:
            raise EngineEndedError(Ending.WITHDRAWN, reason)
        self._base = fresh
        return stored == checkpoint.mark
