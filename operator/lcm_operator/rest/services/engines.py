"""Restore and removal of engines: writes the request annotation and waits for the operator's answer.

The annotation is set on the Trial, or on the TrialEngine if the Trial no longer exists.
"""

import uuid

from lcm_operator.api import names
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.resources import TRIAL_ENGINES, TRIALS
from lcm_operator.kube.update import update
from lcm_operator.rest.cache.records import RestoreAnswer
from lcm_operator.rest.cache.view import ShownEngine, View
from lcm_operator.rest.http.replies import HttpRefusalError

_PATIENCE_SECONDS = 60.0
_MET = ("Done", "Merged")


class Engines:
    """The engines of one namespace. Both methods raise HttpRefusalError and ApiError."""

    def __init__(self, client: Client, view: View, namespace: str) -> None:
        self._client = client
        self._view = view
        self._namespace = namespace

    async def restore(self, trial_id: str) -> None:
        """Restore an engine from its latest checkpoint, whatever its state."""
        unknown = HttpRefusalError(404, f"Engine instance with trial ID: {trial_id} does not exist.")
        engine = self._view.engine(trial_id)
        if engine is None:
            raise unknown
        request = await self._request(engine, names.ANNOTATION_RESTORE, unknown)

        def is_answered() -> bool:
            answer = self._restored(engine)
            return (answer is not None and answer.id == request) or not self._exists(engine)

        await self._view.until(is_answered, _PATIENCE_SECONDS)
        answer = self._restored(engine)
        if answer is None or answer.id != request or answer.result not in _MET:
            raise HttpRefusalError(500, f"Failed to restore the Engine instance with ID: {trial_id}")

    async def remove(self, trial_id: str) -> None:
        """Stop and remove an engine; return when it no longer exists."""
        unknown = HttpRefusalError(400, f"Engine instance with trial ID: {trial_id} does not exist.")
        engine = self._view.engine(trial_id)
        if engine is None:
            raise unknown
        await self._request(engine, names.ANNOTATION_DELETE, unknown)
        if not await self._view.until(lambda: not self._exists(engine), _PATIENCE_SECONDS):
            raise HttpRefusalError(500, f"Failed to remove the Engine instance with ID: {trial_id}")

    async def _request(self, engine: ShownEngine, annotation: str, unknown: HttpRefusalError) -> str:
        """Annotate the request and return its ID. Raises `unknown` if the object was just deleted."""
        request = str(uuid.uuid4())
        resource, name, uid = TRIAL_ENGINES, engine.name, engine.uid
        if engine.trial is not None:
            resource, name, uid = TRIALS, engine.trial.name, engine.trial.uid

        def annotated(raw: Json) -> Json:
            if raw["metadata"]["uid"] != uid:  # another object of that name
                raise unknown
            return {"metadata": {"annotations": {annotation: request}}}

        try:
            await update(self._client, resource, self._namespace, name, annotated)
        except NotFoundError:
            raise unknown from None
        return request

    def _restored(self, engine: ShownEngine) -> RestoreAnswer | None:
        """Return the latest answer to a restore request."""
        if engine.trial is None:
            found = self._view.engine_record(engine.name)
            return found.restored if found is not None and found.uid == engine.uid else None
        trial = self._view.trial(engine.trial.name)
        return trial.restored if trial is not None and trial.uid == engine.trial.uid else None

    def _exists(self, engine: ShownEngine) -> bool:
        """Return whether this very engine still exists."""
        now = self._view.engine(engine.trial_id)
        return now is not None and now.uid == engine.uid
