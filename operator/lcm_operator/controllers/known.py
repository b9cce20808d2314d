"""Which objects of a kind have been seen, and in which version: what a list is compared with."""

from lcm_operator.api.metadata import Metadata
from lcm_operator.kube.listing import Head

Place = tuple[str, str]
"""Namespace and name."""


class Known:
    """UID and resourceVersion of each object that exists as far as we know, whether it can be read or not."""

    def __init__(self) -> None:
        self._versions: dict[Place, tuple[str, int]] = {}

    def __len__(self) -> int:
        return len(self._versions)

    def put(self, metadata: Metadata) -> None:
        """Take note of an object as it is now."""
        self._versions[metadata.namespace, metadata.name] = metadata.uid, int(metadata.resource_version)

    def drop(self, namespace: str, name: str, uid: str) -> bool:
        """Take note that an object is gone; return whether it was known, and not another one of its name."""
        known = self._versions.get((namespace, name), ("", 0))[0] == uid
        if known:
            del self._versions[namespace, name]
        return known

    def uid(self, namespace: str, name: str) -> str | None:
        """Return the UID of the object of a name, None if there is none."""
        known = self._versions.get((namespace, name))
        return known[0] if known is not None else None

    def version(self, namespace: str, name: str) -> int:
        """Return the resourceVersion of the object of a name, 0 if there is none."""
        return self._versions.get((namespace, name), ("", 0))[1]

    def has(self, head: Head) -> bool:
        """Return whether this version of an object, or a newer one, has been seen."""
        uid, version = self._versions.get((head.namespace, head.name), ("", 0))
        return uid == head.uid and int(head.resource_version) <= version

    def all(self) -> dict[Place, tuple[str, int]]:
        """Return a copy of what is known: cheap, whatever the number."""
        return self._versions.copy()

    def identities(self) -> set[tuple[str, str, str]]:
        """Return namespace, name and UID of each object."""
        return {(*place, uid) for place, (uid, _) in self._versions.items()}
