"""The API server's time, derived from the `Date` of its answers.

    answer: sent at a, Date d, received at b  ──>  d - b < server's time - elapsed < d + 1 - a
    many answers                              ──>  the bounds narrow around a tick of Date

Between answers it continues with `elapsed`, so that a step of the node's clock changes nothing. While the
node's clock agrees to within two seconds it is used, as it is finer, unless it is certainly ahead.
"""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from lcm_operator.kube.clock import Clock

AGREES_SECONDS = 2.0
_AGREES_AGAIN_SECONDS = 1.0
_STEP_SECONDS = 1.0
_LONGEST_ANSWER_SECONDS = 1.0
_DRIFT = 0.0005
"""How fast two synchronised clocks may diverge, in seconds per second."""
_DATE = "%a, %d %b %Y %H:%M:%S GMT"


class Offset(Struct, frozen=True):
    """The bounds of the node clock's lead over the API server's, in seconds."""

    least: float
    most: float

    @property
    def middle(self) -> float:
        """The best guess."""
        return (self.least + self.most) / 2


class Look(Struct, frozen=True):
    """The findings since the last look. In seconds; positive is forward, or ahead."""

    stepped: float = 0.0
    """By how much the node's clock was set."""
    jumped: float = 0.0
    """By how much the resulting time jumped: decisions made by it may be wrong."""
    offset: Offset | None = None
    """None until the API server has answered."""
    trusts_node: bool = True
    """Whether the node's clock agrees with the API server's."""


class ClusterClock:
    """A Clock. Feed it with `heard`, and `look` often."""

    def __init__(self, node: Clock) -> None:
        self._node = node
        self._least = self._most = 0.0
        """The bounds of the server's time minus `elapsed`, as of `_heard_at`."""
        self._heard_at: float | None = None
        self._trusts_node = True
        self._looked: tuple[float, float, float] | None = None
        """`elapsed`, the node's time and the resulting time at the last look."""
        self._date: tuple[str | None, float] = (None, 0.0)

    def elapsed(self) -> float:
        """Return the seconds since the machine was started, suspensions included."""
        return self._node.elapsed()

    def now(self) -> datetime:
        """Return the API server's time."""
        elapsed, node = self._node.elapsed(), self._node.now()
        correction = self._correction(elapsed, node.timestamp())
        return node - timedelta(seconds=correction) if correction else node

    def heard(self, date: str | None, sent: float, received: float) -> None:
        """Take in the `Date` of an answer, and when (`elapsed`) its request was sent and its head received.

        An answer that took longer than a second is passed over, and so is one without a readable Date.
        """
        told = self._read(date) if 0 <= received - sent <= _LONGEST_ANSWER_SECONDS else None
        if told is None:
            return
        least, most = told - received, told + 1 - sent
        if self._heard_at is not None:
            drift = _DRIFT * max(received - self._heard_at, 0.0)
            both = max(least, self._least - drift), min(most, self._most + drift)
            if both[0] <= both[1]:  # otherwise the server's clock was set, or it is another server
                least, most = both
        self._least, self._most, self._heard_at = least, most, received

    def offset(self) -> Offset | None:
        """Return the lead of the node's clock over the API server's; None while unknown."""
        return self._offset(self._node.elapsed(), self._node.now().timestamp())

    def look(self) -> Look:
        """Return what changed since the last look."""
        elapsed, node = self._node.elapsed(), self._node.now().timestamp()
        now = node - self._correction(elapsed, node)
        before, self._looked = self._looked or (elapsed, node, now), (elapsed, node, now)
        passed = elapsed - before[0]
        return Look(
            stepped=_beyond_a_step(node - before[1] - passed),
            jumped=_beyond_a_step(now - before[2] - passed),
            offset=self._offset(elapsed, node),
            trusts_node=self._trusts_node,
        )

    def _correction(self, elapsed: float, node: float) -> float:
        """Return by how many seconds the resulting time is behind the node's clock."""
        offset = self._offset(elapsed, node)
        if offset is None:
            return 0.0
        away = max(offset.least, -offset.most, 0.0)
        self._trusts_node = away <= (AGREES_SECONDS if self._trusts_node else _AGREES_AGAIN_SECONDS)
        if self._trusts_node:
            return max(offset.least, 0.0)
        return offset.most  # the earliest that the server's time can be: never early

    def _offset(self, elapsed: float, node: float) -> Offset | None:
        if self._heard_at is None:
            return None
        drift = _DRIFT * max(elapsed - self._heard_at, 0.0)
        return Offset(node - elapsed - self._most - drift, node - elapsed - self._least + drift)

    def _read(self, date: str | None) -> float | None:
        """Return the Unix time of a `Date`; the last one is cached, as it repeats."""
        if date is None:
            return None
        if date == self._date[0]:
            return self._date[1]
        try:
            told = datetime.strptime(date, _DATE).replace(tzinfo=UTC).timestamp()
        except ValueError:
            return None
        self._date = date, told
        return told


def _beyond_a_step(seconds: float) -> float:
    return seconds if abs(seconds) > _STEP_SECONDS else 0.0
