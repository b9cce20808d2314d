"""The part of metav1.ObjectMeta that the product reads."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lcm_operator.api.storage import MalformedError, Moment, Record, parse


class OwnerReference(Record, frozen=True, kw_only=True):
    """metav1.OwnerReference."""

    kind: str
    name: str
    uid: str
    controller: bool = False


class Metadata(Record, frozen=True, kw_only=True):
    """metav1.ObjectMeta."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Moment | None = None
    deletion_timestamp: Moment | None = None
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def controller_uid(self) -> str | None:
        """The UID of the controlling owner."""
        return next((owner.uid for owner in self.owner_references if owner.controller), None)


def metadata_of(raw: Mapping[str, Any]) -> Metadata:
    """Return the metadata of an object; only identity and version if the rest is unreadable."""
    found = raw.get("metadata")
    found = found if isinstance(found, dict) else {}
    try:
        return parse(found, Metadata)
    except MalformedError:
        return Metadata(
            name=_text(found, "name"),
            namespace=_text(found, "namespace"),
            uid=_text(found, "uid"),
            resource_version=_text(found, "resourceVersion"),
        )


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    return value if isinstance(value, str) else ""
