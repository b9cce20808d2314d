"""The time that counts: the API server's, as the `Date` of its answers shows it.

    answer: sent at a, Date d, received at b  ──>  d - b < server's time - elapsed < d + 1 - a
    many answers                              ──>  the bounds close in around a tick of Date

Between answers `elapsed` carries it on, so that a step of the node's clock changes nothing. While the node's
own clock agrees to within two seconds it is used, as it is finer, but not where it is surely ahead.
"""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from lcm_operator.kube.clock import Clock

AGREES_SECONDS = 2.0
_AGREES_AGAIN_SECONDS = 1.0
_STEP_SECONDS = 1.0
_LONGEST_ANSWER_SECONDS = 1.0
_DRIFT = 0.0005
"""How fast two clocks that somebody keeps right may part, seconds per second."""
_DATE = "%a, %d %b %Y %H:%M:%S GMT"


class Offset(Struct, frozen=True):
    """By how many seconds the node's clock is ahead of the API server's: between these two."""

    least: float
    most: float

    @property
    def middle(self) -> float:
        """The best guess."""
        return (self.least + self.most) / 2


class Look(Struct, frozen=True):
    """What was found since the last look. In seconds; positive is forward, or ahead."""

    stepped: float = 0.0
    """The node's clock was set by so much."""
    jumped: float = 0.0
    """The time that counts has jumped by so much: what was decided by it may be wrong."""
    offset: Offset | None = None
    """None as long as the API server has not answered."""
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
        """`elapsed`, the node's time and the time that counted, at the last look."""
        self._date: tuple[str | None, float] = (None, 0.0)

    def elapsed(self) -> float:
        """Return the seconds since the machine was started, suspensions included."""
        return self._node.elapsed()

    def now(self) -> datetime:
        """Return the time that counts."""
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
            if both[0] <= both[1]:  # else the server's clock was set, or it is another server's
                least, most = both
        self._least, self._most, self._heard_at = least, most, received

    def offset(self) -> Offset | None:
        """Return how far the node's clock is ahead of the API server's; None as long as that is unknown."""
        return self._offset(self._node.elapsed(), self._node.now().timestamp())

    def look(self) -> Look:
        """Return what has happened to the clocks since the last look."""
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
        """Return by how many seconds the time that counts is behind the node's clock."""
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
        """Return the Unix time of a `Date`. The same one comes again and again: it is read once."""
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
