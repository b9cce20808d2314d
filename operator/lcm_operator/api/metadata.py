"""What every object carries: the part of metav1 that we read."""

import msgspec

from lcm_operator.api.storage import Moment, Record


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
