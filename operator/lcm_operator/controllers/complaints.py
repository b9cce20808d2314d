"""Objects with a problem that only people can solve: one log line and one Event for each.

They can't be parsed in whole or in part, or have annotations without effect.

An object is reported once, however often watches and lists show it, and whichever replica reports it, before
or after a restart: the Event's name follows from its text.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lcm_operator import logs
from lcm_operator.api import reasons
from lcm_operator.api.metadata import Metadata, metadata_of
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.api.unread import unread
from lcm_operator.controllers.key import Key

_Place = tuple[str, str, str, str]
"""Kind, namespace and name of an object, and the reason."""
_REASONS = (reasons.MALFORMED, reasons.UNKNOWN_ANNOTATION)
log = logs.get(__name__)


def unreadable_text(error: MalformedError) -> str:
    """Return the message about an object that can't be parsed."""
    return f"this version can't read the object: {error}"


class Complaint(NamedTuple):
    """The fault of one object."""

    kind: str
    about: Metadata
    why: str


class Complaints:
    """The faults of the objects that exist now, by kind, namespace and name."""

    def __init__(self) -> None:
        self._known: dict[_Place, Complaint] = {}
        self._unreported: dict[_Place, Complaint] = {}

    def note(self, kind: str, about: Metadata, why: str, reason: str = reasons.MALFORMED) -> None:
        """Note what of an object can't be parsed; nothing, if `why` is empty."""
        place = (kind, about.namespace, about.name, reason)
        if not why:
            self._forget(place)
            return
        known = self._known.get(place)
        if known is not None and (known.about.uid, known.why) == (about.uid, why):
            return
        if reason == reasons.UNKNOWN_ANNOTATION:
            log.warning(
                "annotation has no effect", kind=kind, namespace=about.namespace, name=about.name, error=why
            )
        else:
            log.warning("unreadable object", kind=kind, namespace=about.namespace, name=about.name, error=why)
        self._known[place] = self._unreported[place] = Complaint(kind, about, why)

    def look_at_registry(self, raw: Mapping[str, Any]) -> list[Key]:
        """Note what of a TrialRegistry can't be parsed; no slot is concerned."""
        try:
            registry = parse(raw, TrialRegistry)
        except MalformedError as error:
            self.note("TrialRegistry", metadata_of(raw), unreadable_text(error))
        else:
            self.note("TrialRegistry", registry.metadata, unread(registry))
        return []

    def forget(self, kind: str, namespace: str, name: str) -> None:
        """Forget a deleted object."""
        for reason in _REASONS:
            self._forget((kind, namespace, name, reason))

    def report(self, tell: Callable[..., None]) -> None:
        """Record an Event for each that has none; only the leader may do so."""
        while self._unreported:
            (_, _, _, reason), (kind, about, why) = self._unreported.popitem()
            detail = why if reason == reasons.UNKNOWN_ANNOTATION else ""
            tell(kind, about, reason, why, warning=True, once=True, detail=detail)

    def begin_term(self) -> None:
        """Report all again: it is not known whether another leader did."""
        self._unreported = dict(self._known)

    def _forget(self, place: _Place) -> None:
        self._known.pop(place, None)
        self._unreported.pop(place, None)
