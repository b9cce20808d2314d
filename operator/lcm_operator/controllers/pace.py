"""Which keys hang in work, and which namespaces are slow because of them.

A key that is in work for longer than half a second hangs: another worker takes the place of its worker. Its
namespace is slow then, and for two minutes after: a webhook that hangs at a dry run also hangs at the start.
"""

from collections import Counter

from lcm_operator.controllers.key import Key

_HANGS_SECONDS = 0.5
_REMEMBERED_SECONDS = 120.0


class Pace:
    """Of each lane (by rank) how many of its keys hang; of each namespace whether it is slow."""

    def __init__(self) -> None:
        self._moving: dict[Key, tuple[float, int]] = {}
        """Since when a key is in work, and for which lane; the oldest first."""
        self._hanging: dict[Key, int] = {}
        self._hanging_in: Counter[str] = Counter()
        self._slow: dict[str, float] = {}
        """Until when a namespace is slow; the one noticed last comes last."""
        self.hanging: Counter[int] = Counter()

    @property
    def moving(self) -> int:
        """How many keys are in work and do not hang."""
        return len(self._moving)

    @property
    def slow(self) -> int:
        """How many namespaces are slow."""
        return len(self._slow)

    def is_slow(self, namespace: str) -> bool:
        """Return whether a key of the namespace hangs, or did a short time ago."""
        return namespace in self._slow

    def begin(self, key: Key, rank: int, now: float) -> None:
        """Note a key that a worker has taken."""
        self._moving[key] = now, rank

    def look(self, now: float) -> None:
        """Find the keys that hang by now, and forget namespaces that were slow long ago."""
        while self._moving:
            key, (since, rank) = next(iter(self._moving.items()))
            if now - since < _HANGS_SECONDS:
                break
            del self._moving[key]
            self._hanging[key] = rank
            self.hanging[rank] += 1
            self._hanging_in[key.namespace] += 1
            self._remember(key.namespace, now)
        while self._slow:
            namespace, until = next(iter(self._slow.items()))
            if until > now:
                break
            if self._hanging_in[namespace]:
                self._remember(namespace, now)
            else:
                del self._slow[namespace], self._hanging_in[namespace]

    def end(self, key: Key, now: float) -> None:
        """Note a key that is given back."""
        self.look(now)
        if key in self._moving:
            del self._moving[key]
            return
        self.hanging[self._hanging.pop(key)] -= 1
        self._hanging_in[key.namespace] -= 1
        self._remember(key.namespace, now)

    def _remember(self, namespace: str, now: float) -> None:
        self._slow.pop(namespace, None)
        self._slow[namespace] = now + _REMEMBERED_SECONDS
