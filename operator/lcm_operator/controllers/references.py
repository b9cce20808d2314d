"""The objects that engines refer to: what is known of each, which slots need it, when it is read next.

A cache only. Part of `controllers.slot_cache`; filled by `controllers.reference_reader`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from types import MappingProxyType

from lcm_operator.controllers.key import Key
from lcm_operator.domain.snapshot import Keys, Observation, Reference

MOST_A_PASS = 10
Place = tuple[str, Reference]
"""Namespace and object."""
Known = Mapping[Reference, Observation[Keys | None]]
_NOTHING: Known = MappingProxyType({})


class References:
    """The referenced objects by namespace."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._users: defaultdict[Place, set[Key]] = defaultdict(set)
        self._watched: dict[Key, frozenset[Reference]] = {}
        self._due: dict[Place, float] = {}
        """When an object is to be read next, by the elapsed time."""
        self._order: list[tuple[float, Place]] = []
        """A heap of these times; entries that differ from `_due` are void."""

    def in_namespace(self, namespace: str) -> Known:
        """Return what is known of the objects of a namespace; it is replaced, never changed."""
        return self._known.get(namespace, _NOTHING)

    def watched(self, key: Key) -> frozenset[Reference]:
        """Return the objects whose changes lead to a decision about a slot."""
        return self._watched.get(key, frozenset())

    def watch(self, key: Key, objects: frozenset[Reference]) -> None:
        """Have a slot decided about when one of these objects changes."""
        self._watched[key] = self.watched(key) | objects
        for each in objects:
            place = (key.namespace, each)
            self._users[place].add(key)
            if place not in self._due:
                self._schedule(place, 0.0)

    def put(self, place: Place, seen: Observation[Keys | None] | None, next_read: float) -> set[Key]:
        """Store an object as it was read, None if unknown; return the slots for which it has changed."""
        namespace, each = place
        before = self._known.get(namespace, _NOTHING)
        known = before.get(each)
        self._schedule(place, next_read)
        if seen is not None:
            self._known[namespace] = MappingProxyType({**before, each: seen})
        changed = seen is not None and (known is None or known.value != seen.value)
        return set(self._users[place]) if changed else set()

    def is_due(self, place: Place, now: float) -> bool:
        """Return whether an object is to be read, as it was never read or not for long."""
        return self._due.get(place, 0.0) <= now

    def due(self, now: float, is_user: Callable[[Key], bool]) -> list[Place]:
        """Return the objects to read now, the longest due first; forget those without users."""
        chosen: list[Place] = []
        while self._order and self._order[0][0] <= now and len(chosen) < MOST_A_PASS:
            at, place = heappop(self._order)
            if self._due.get(place) != at:
                continue
            if self._has_user(place, is_user):
                chosen.append(place)
            else:
                self._forget(place)
        return chosen

    def begin_term(self) -> None:
        """Drop everything: the slots ask again."""
        self._known.clear()
        self._users.clear()
        self._watched.clear()
        self._due.clear()
        self._order.clear()

    def _schedule(self, place: Place, at: float) -> None:
        self._due[place] = at
        heappush(self._order, (at, place))

    def _has_user(self, place: Place, is_user: Callable[[Key], bool]) -> bool:
        """Return whether a slot still needs an object; forget those before it that do not."""
        users = self._users[place]
        while users:
            key = next(iter(users))
            if is_user(key):
                return True
            self._leave(key, place)
        return False

    def _leave(self, key: Key, place: Place) -> None:
        self._users[place].discard(key)
        left = self.watched(key) - {place[1]}
        if left:
            self._watched[key] = left
        else:
            self._watched.pop(key, None)

    def _forget(self, place: Place) -> None:
        namespace, each = place
        del self._users[place], self._due[place]
        left = {ref: seen for ref, seen in self._known.get(namespace, _NOTHING).items() if ref != each}
        self._known[namespace] = MappingProxyType(left)
