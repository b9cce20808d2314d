"""The TrialEngine of a trial ID, as the API server has it now; its name follows from the ID."""

from typing import NamedTuple

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.names import engine_name
from lcm_operator.api.storage import parse
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.resources import TRIAL_ENGINES


class EngineRead(NamedTuple):
    """One TrialEngine, as it was read and as a record."""

    raw: Json
    engine: TrialEngine


async def read_engine(client: Client, namespace: str, trial_id: str) -> EngineRead | None:
    """Return the TrialEngine of an ID, None if there is none. Raises ApiError, MalformedError."""
    try:
        raw = await client.get(TRIAL_ENGINES, namespace, engine_name(trial_id))
    except NotFoundError:
        return None
    engine = parse(raw, TrialEngine)
    return EngineRead(raw, engine) if engine.spec.trial_id == trial_id else None
