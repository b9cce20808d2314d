"""The key by which a partner recognises a request that is sent again."""

from uuid import UUID, uuid5


def idempotency_key(engine_uid: str, activity: str, run: int) -> str:
    """Return the key of one run of an activity of a TrialEngine: the same for each try, unlike any other."""
    return str(uuid5(UUID(engine_uid), f"{activity}/{run}"))
