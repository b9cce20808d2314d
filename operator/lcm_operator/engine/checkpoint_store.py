"""Saves checkpoints in the TrialEngine's status.

A save returns once the API server has acknowledged it, whatever it takes; it is
fenced by the resourceVersion that it was computed from, so a pod whose grant moved can't save, nor go on.
It writes the engine's own fields and nothing else.
"""

from lcm_operator import logs
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import serialise, status_patch
from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.grant import withdrawal
from lcm_operator.engine.inbox import accounted
from lcm_operator.engine.interrupts import Observe
from lcm_operator.engine.outcome import Ending, EngineEndedError
from lcm_operator.engine.reading import read
from lcm_operator.kube.backoff import Backoff
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import elapsed
from lcm_operator.kube.errors import ConflictError, NotFoundError, RejectedError, UnavailableError
from lcm_operator.kube.resources import TRIAL_ENGINES

log = logs.get(__name__)
_REFUSED_SECONDS = 60.0


class CheckpointStore:
    """The one writer of the engine's fields, beginning from the TrialEngine as granted.

    `observe` is called with the TrialEngine as each write leaves it, before the save returns: so nothing
    begins after a save that followed a stop.
    """

    def __init__(self, client: Client, granted: TrialEngine, pod_uid: str, observe: Observe) -> None:
        self._client = client
        self._base = granted
        self._pod_uid = pod_uid
        self._observe = observe

    async def save(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return `checkpoint` once it is stored, as it is then: with the signals accounted for.

        While the API server is away it tries again for ever. A write whose answer was lost is recognised by
        its mark. Raises EngineEndedError when the grant is withdrawn, or the API server goes on refusing.
        """
        backoff = Backoff()
        refused_since: float | None = None
        while True:
            try:
                await self._write(checkpoint)
            except ConflictError:
                log.info("TrialEngine has changed; reading it again")
            except UnavailableError as error:
                await backoff.wait("saving the checkpoint", error)
            except RejectedError as error:
                refused_since = refused_since or elapsed()
                if elapsed() - refused_since >= _REFUSED_SECONDS:
                    raise EngineEndedError(
                        Ending.CHECKPOINT_REFUSED, f"the checkpoint was refused: {error}"
                    ) from error
                await backoff.wait("saving the checkpoint", error)
            except NotFoundError as error:
                raise EngineEndedError(Ending.WITHDRAWN, "the TrialEngine is gone") from error
            else:
                break
            if await self._stored_already(checkpoint):
                break
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

    async def _stored_already(self, checkpoint: Checkpoint) -> bool:
        """Read the TrialEngine again; return whether `checkpoint` stands there although no answer came."""
        known = self._base
        fresh = await self._read()
        if fresh.metadata.uid != known.metadata.uid:
            raise EngineEndedError(Ending.WITHDRAWN, "another TrialEngine has its name")
        if reason := withdrawal(fresh, self._pod_uid):
            raise EngineEndedError(Ending.WITHDRAWN, reason)
        self._base = fresh
        if fresh.status.checkpoint == checkpoint.mark:
            return True
        if fresh.status.checkpoint != known.status.checkpoint:
            raise EngineEndedError(Ending.WITHDRAWN, "somebody else has written the checkpoint")
        return False

    async def _read(self) -> TrialEngine:
        backoff = Backoff()
        metadata = self._base.metadata
        while True:
            try:
                raw = await self._client.get(TRIAL_ENGINES, metadata.namespace, metadata.name)
            except (UnavailableError, RejectedError) as error:
                await backoff.wait("reading the TrialEngine", error)
            except NotFoundError as error:
                raise EngineEndedError(Ending.WITHDRAWN, "the TrialEngine is gone") from error
            else:
                return read(raw)
