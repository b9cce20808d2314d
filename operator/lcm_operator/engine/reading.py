"""Reads the TrialEngine that the API server gave."""

from collections.abc import Mapping
from typing import Any

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.kube import errors


def read(raw: Mapping[str, Any]) -> TrialEngine:
    """Return the TrialEngine. Raises UnavailableError for one that this version can't read.

    It counts as no answer: the engine waits until it can be read again, and does nothing meanwhile.
    """
    try:
        return parse(raw, TrialEngine)
    except MalformedError as error:
        raise errors.unreadable(f"the TrialEngine can't be read: {error}") from error
