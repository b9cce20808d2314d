"""A cache of the objects of one kind: the newest version wins, and deleted objects stay deleted.

It accepts watch events, lists and answers to writes in any order; older versions change nothing. Pure.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

Place = tuple[str, str]
"""Namespace and name."""
_REMEMBERED_DELETIONS = 10_000
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Entry(NamedTuple, Generic[T]):
    """One object: its UID, its resourceVersion and the kept value."""

    uid: str
    version: int
    value: T


class ObjectCache(Generic[K, T]):
    """Objects by name, or by namespace and name; `value` is whatever the owner keeps of each."""

    def __init__(self) -> None:
        self._entries: dict[K, Entry[T]] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[T]:
        return (entry.value for entry in self._entries.values())

    def is_news(self, key: K, uid: str, version: int | str) -> bool:
        """Return whether an object is newer than the cached version, and was not deleted."""
        known = self._entries.get(key)
        return uid not in self._deleted and (known is None or int(version) > known.version)

    def put(self, key: K, uid: str, version: int | str, value: T) -> bool:
        """Take in an object, if it is news; return whether it was.

        One that takes the place of another of its name has that deleted.
        """
        if not self.is_news(key, uid, version):
            return False
        known = self._entries.get(key)
        if known is not None and known.uid != uid:
            self._bury(known.uid)
        self._entries[key] = Entry(uid, int(version), value)
        return True

    def drop(self, key: K, uid: str) -> T | None:
        """Take note that an object was deleted; return what was kept of it, None if nothing was.

        Another one in its place stays.
        """
        self._bury(uid)
        known = self._entries.get(key)
        if known is None or known.uid != uid:
            return None
        del self._entries[key]
        return known.value

    def get(self, key: K) -> T | None:
        """Return the value of an object, or None."""
        known = self._entries.get(key)
        return known.value if known is not None else None

    def entry(self, key: K) -> Entry[T] | None:
        """Return UID, version and value of an object, or None."""
        return self._entries.get(key)

    def entries(self) -> dict[K, Entry[T]]:
        """Return a shallow copy of all entries."""
        return self._entries.copy()

    def _bury(self, uid: str) -> None:
        self._deleted[uid] = None
        while len(self._deleted) > _REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
