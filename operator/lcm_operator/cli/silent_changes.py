"""What kubectl or Helm changes in a manifest without a word."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from lcm_operator.cli.manifests import Manifest
from lcm_operator.plan.faults import Fault, Place

_EXACT = 2**53
"""Up to here each integer is a double, which is what Helm, and a patch of kubectl, make of it."""
_NULL = 'kubectl apply drops a null; to send one, write "{{ none }}"'
_LARGE = "Helm, and kubectl apply when it changes an object, round integers beyond 2^53; write text in quotes"
_AS_NUMBER = ', or "{{{{ {} }}}}" to send a number'


def silent_changes(manifest: Manifest) -> Iterator[Fault]:
    """Yield what would be changed, and what is read otherwise than it seems to be written."""
    depth = len(manifest.place)
    for change in manifest.document.changed:
        place = change.place[depth:]
        if change.place[:depth] == manifest.place and (change.is_key or _is_free(place)):
            yield Fault(place, change.message)
    yield from _values(manifest.value, ())


def _is_free(place: Place) -> bool:
    """Return whether a place is in the body of a request, which may have values of any type."""
    return any(pair == ("http", "json") for pair in pairwise(place))


def _values(value: Any, place: Place) -> Iterator[Fault]:
    match value:
        case dict():
            for key, item in value.items():
                yield from _values(item, (*place, key))
        case list():
            for index, item in enumerate(value):
                yield from _values(item, (*place, index))
        case None if _is_free(place) and not isinstance(place[-1], int):
            yield Fault(place, _NULL)
        case int() | float() if abs(value) > _EXACT:
            yield Fault(place, _LARGE + (_AS_NUMBER.format(value) if isinstance(value, int) else ""))
