"""What was learnt outside the API objects themselves: a value with its age and its term. Pure.

A registry's reported time, a refused create, an admission check, a look at a pod or a Lease: each is true of
the moment at which it was made, and of the term of leadership in which it was made. Nothing irreversible may
rest on one that is older than its purpose allows: it is made again first.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Observation(Generic[T_co]):
    """`value` as it was at `time` (UTC), seen in the leadership `term` of this process.

    `time` is when the look began, where that is known: what happened after it may be missing from `value`.
    """

    value: T_co
    time: datetime
    term: int = 0

    def is_within(self, age: timedelta, now: datetime) -> bool:
        """Return whether the observation is at most `age` old at `now`."""
        return now - self.time <= age


def value_of(observation: Observation[T_co] | None) -> T_co | None:
    """Return what was observed, None if nobody looked."""
    return observation.value if observation is not None else None
