"""Annotations that look like requests but have no effect: typos, empty request IDs. Pure.

The admission policy of deploy/policies warns about the same when it is installed.
"""

import re
from collections.abc import Iterator

from lcm_operator.api import names
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.similar import nearest

REQUESTS = (
    names.ANNOTATION_RESTORE,
    names.ANNOTATION_RESTORE_FROM,
    names.ANNOTATION_RESTORE_PLAN,
    names.ANNOTATION_DELETE,
)
OTHERS = (
    names.ANNOTATION_REGISTRY_START_TIME,
    names.ANNOTATION_REGISTRY_READ_TIME,
    names.ANNOTATION_IMPORTED_BY,
    names.ANNOTATION_VANISHED,
)
_LOOKS_LIKE_OURS = re.compile(r"(lcm[.-][^/]*|[^/]*5g-?drone[^/]*)/")
_MEANT_AS = {
    "remove": names.ANNOTATION_DELETE,
    "cancel": names.ANNOTATION_DELETE,
    "stop": names.ANNOTATION_DELETE,
    "abort": names.ANNOTATION_DELETE,
    "restart": names.ANNOTATION_RESTORE,
    "replan": names.ANNOTATION_RESTORE_PLAN,
}


def ineffective(metadata: Metadata) -> str:
    """Return which annotations of a Trial or TrialEngine have no effect, and what to do; else ''."""
    found = (_unknown(metadata), _empty(metadata), _without_restore(metadata), _labels(metadata))
    return "; ".join(text for texts in found for text in texts)


def _unknown(metadata: Metadata) -> Iterator[str]:
    for key in sorted(metadata.annotations):
        if key in REQUESTS or key in OTHERS:
            continue
        is_ours = key.startswith(f"{names.GROUP}/") or _LOOKS_LIKE_OURS.match(key)
        if is_ours or f"{names.GROUP}/{key}" in REQUESTS:
            meant = _meant(key)
            hint = f"did you mean {meant}?" if meant else f"known are {', '.join(REQUESTS)}"
            yield f"annotation {key} is ignored, because the operator does not know it: {hint}"


def _meant(key: str) -> str:
    by_name = {request.rpartition("/")[2]: request for request in REQUESTS} | _MEANT_AS
    name = nearest(key.rpartition("/")[2], by_name)
    return by_name[name] if name else ""


def _empty(metadata: Metadata) -> Iterator[str]:
    for request in REQUESTS:
        if metadata.annotations.get(request, "-").strip() == "":
            yield (
                f"annotation {request} is empty, so nothing happens: set it to a request ID of your choice, "
                "a new one for each request"
            )


def _without_restore(metadata: Metadata) -> Iterator[str]:
    if metadata.annotations.get(names.ANNOTATION_RESTORE, "").strip():
        return
    for addition in (names.ANNOTATION_RESTORE_FROM, names.ANNOTATION_RESTORE_PLAN):
        if metadata.annotations.get(addition, "").strip():
            yield (
                f"annotation {addition} is ignored until annotation {names.ANNOTATION_RESTORE} has the same "
                "request ID"
            )


def _labels(metadata: Metadata) -> Iterator[str]:
    for request in REQUESTS:
        if request in metadata.labels:
            yield f"label {request} has no effect: requests are annotations, use kubectl annotate"
