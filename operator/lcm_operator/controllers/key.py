"""What work is queued by, and what is known of how urgent it is."""

from datetime import datetime
from typing import NamedTuple

from lcm_operator.domain.actions import Urgency


class Key(NamedTuple):
    """A slot: all Trials of one trial ID, and the TrialEngine of this name that there may be."""

    namespace: str
    name: str


class Due(NamedTuple):
    """What is due in a slot: its urgency, the start time that counts, and the last chance of that start."""

    urgency: Urgency = Urgency.ROUTINE
    start_time: datetime | None = None
    last_try: datetime | None = None
