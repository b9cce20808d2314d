"""What work is queued by: one trial ID of a namespace, named by the name of its TrialEngine."""

from typing import NamedTuple


class Key(NamedTuple):
    """A slot: all Trials of one trial ID, and the one TrialEngine that there may be."""

    namespace: str
    engine: str
