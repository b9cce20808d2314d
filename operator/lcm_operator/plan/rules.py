"""The CEL rules of the CRDs in Python, by their message.

CEL would not report the invalid place (ADR 0013); tests compare these with the CRDs. A rule yields the
invalid places, relative to the value; () is the field that the rule itself names. Values of a wrong type are
left to other keywords.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from lcm_operator.api.times import START_TIME_FORM
from lcm_operator.plan.faults import Place
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError

LISTS = ("activities", "onFailure", "finally")
_MOST_ACTIVITIES = 128
_YEARS = range(2000, 9999)
_ALL_YEARS = range(1, 10_000)
# `\0` is a parameter; possessive, since the slashes of `://` end no host.
_BEYOND_AUTHORITY = re.compile(r"(?:https?://|\0(?:://)?+)[^/?#]*[/?#]")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*", re.ASCII)
Found = Iterator[Place]


def activities(plan: Any) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the activities of the three lists with their places; other values are skipped."""
    for field in LISTS:
        items = plan.get(field) if isinstance(plan, dict) else None
        if isinstance(items, list):
            yield from (((field, index), item) for index, item in enumerate(items) if isinstance(item, dict))


def _names_used_twice(plan: Any) -> Found:
    seen: set[Any] = set()
    for place, activity in activities(plan):
        match activity:
            case {"name": str(name)} if name in seen:
                yield (*place, "name")
            case {"name": str(name)}:
                seen.add(name)


def _too_many_activities(plan: Any) -> Found:
    if sum(1 for _ in activities(plan)) > _MOST_ACTIVITIES:
        yield ()


def _names(plan: Any, *lists: str) -> list[Any]:
    return [activity.get("name") for place, activity in activities(plan) if place[0] in (lists or LISTS)]


def _finishes_nowhere(plan: Any) -> Found:
    match plan:
        case {"finishAt": str(name), "activities": list()} if name not in _names(plan, "activities"):
            yield ()


def _finishes_in_a_branch(plan: Any) -> Found:
    match plan:
        case {"finishAt": str(name), "activities": list(items)}:
            named = [one for one in items if isinstance(one, dict) and one.get("name") == name]
            if any("branch" in one for one in named):
                yield ()


def _has_branches(field: str) -> Callable[[Any], Found]:
    def find(plan: Any) -> Found:
        yield from (
            (*place, "branch")
            for place, activity in activities(plan)
            if place[0] == field and "branch" in activity
        )

    return find


def _waits_after_nothing(plan: Any) -> Found:
    names = _names(plan)
    for place, activity in activities(plan):
        match activity:
            case {"wait": {"after": str(after)}} if after not in names:
                yield (*place, "wait", "after")


def _foreign_authority(url: Any) -> Found:
    if not isinstance(url, str):
        return
    try:
        pieces = Scope({}).pieces(url)
    except TemplateError:  # `lint` reports it
        return
    built = ""
    for piece in pieces:
        if isinstance(piece, str):
            built += piece
        elif not _BEYOND_AUTHORITY.match(built):
            if piece.names != {"parameters"}:
                yield ()
                return
            built += "\0"


def _outside(years: range) -> Callable[[Any], Found]:
    def find(moment: Any) -> Found:
        if not isinstance(moment, str) or not START_TIME_FORM.fullmatch(moment):
            return
        try:
            found = datetime.fromisoformat(moment)
            seen = {found.astimezone(UTC).year} if found.tzinfo is not None and "T" in moment else set()
        except (ValueError, OverflowError):
            seen = set()
        if not seen & set(years):
            yield ()

    return find


def _malformed_time(moment: Any) -> Found:
    if isinstance(moment, str) and not START_TIME_FORM.fullmatch(moment):
        yield ()


def _malformed_bundle(text: Any) -> Found:
    if isinstance(text, str) and not _BASE64.fullmatch(text):
        yield ()


def _not_one_of(*fields: str) -> Callable[[Any], Found]:
    def find(value: Any) -> Found:
        if isinstance(value, dict) and Counter(field in value for field in fields)[True] != 1:
            yield ()

    return find


def _both(one: str, other: str) -> Callable[[Any], Found]:
    def find(value: Any) -> Found:
        if isinstance(value, dict) and one in value and other in value:
            yield ()

    return find


def _keys_beyond(most: int) -> Callable[[Any], Found]:
    def find(value: Any) -> Found:
        if isinstance(value, dict):
            yield from ((key,) for key in value if not 1 <= len(key) <= most)

    return find


def _odd_scheme(url: Any) -> Found:
    if isinstance(url, str) and not url.startswith(("http://", "https://", "{{")):
        yield ()


def _no_registry_url(url: Any) -> Found:
    if not isinstance(url, str):
        return
    try:
        parts = urlsplit(url)
        is_plain = not (parts.query or parts.fragment or "@" in parts.netloc or parts.port == 0)
    except ValueError:
        is_plain = False
    if not is_plain or parts.scheme not in {"http", "https"} or not parts.hostname:
        yield ()


def _secrets_not_captured(http: Any) -> Found:
    match http:
        case {"secretCapture": list(names)}:
            captured = http.get("capture")
            known = captured if isinstance(captured, dict) else {}
            if not names and "capture" not in http:
                yield ("secretCapture",)
            yield from (
                ("secretCapture", index) for index, name in enumerate(names) if name not in list(known)
            )


def _lists_alone(plan: Any) -> Found:
    beside = {"onFailure", "finally", "finishAt"}
    if isinstance(plan, dict) and "activities" not in plan and beside & set(plan):
        yield ()


def _no_engine(containers: Any) -> Found:
    match containers:
        case list() if not any(isinstance(one, dict) and one.get("name") == "engine" for one in containers):
            yield ()


RULES: dict[str, Callable[[Any], Found]] = {
    "names must be unique across activities, onFailure and finally": (_names_used_twice),
    "activities, onFailure and finally must have at most 128 activities together": _too_many_activities,
    "finishAt must be the name of one of activities": _finishes_nowhere,
    "finishAt must name an activity without branch, the jump ends all branches": _finishes_in_a_branch,
    "onFailure must not have branches, its activities run one after the other": _has_branches("onFailure"),
    "finally must not have branches, its activities run one after the other": _has_branches("finally"),
    "in activities, onFailure and finally, wait.after must be the name of an activity of this plan": (
        _waits_after_nothing
    ),
    "at most one of default and secretKeyRef may be set": (_both("default", "secretKeyRef")),
    "an activity must have exactly one of http, wait, sleep and exec": (
        _not_one_of("http", "wait", "sleep", "exec")
    ),
    "at most one of json and body may be set": _both("json", "body"),
    "a file must have exactly one of content and configMapKeyRef": _not_one_of("content", "configMapKeyRef"),
    "secretCapture must name entries of capture": _secrets_not_captured,
    "url must begin with http://, https:// or an expression {{ }} over parameters": _odd_scheme,
    "url must be an http or https URL without user, query and fragment": _no_registry_url,
    "url must take scheme, host and port from literal text or parameters, not from outputs, values, response,"
    " trial or now": _foreign_authority,
    "caBundle must be base64, such as `base64 < ca.crt` prints it: of the whole file with the certificates in"
    " PEM": _malformed_bundle,
    "a key must have 1 to 128 characters": _keys_beyond(128),
    "sleep must have exactly one of seconds and untilSeconds": _not_one_of("seconds", "untilSeconds"),
    "exactly one of startTime and registryRef must be set": _not_one_of("startTime", "registryRef"),
    "at most one of planRef and activities may be set": (_both("planRef", "activities")),
    "onFailure, finally and finishAt require activities beside them": _lists_alone,
    "startTime must be a date and time with its UTC offset, in RFC 3339: 2026-11-24T10:00:00+02:00, or"
    " 2026-11-24T08:00:00Z for UTC; a zone by name, such as EET, is not allowed": _malformed_time,
    "startTime must be a date that exists, in the years 2000 to 9998": _outside(_YEARS),
    "the time must be RFC 3339 with an offset, such as 2026-11-24T10:00:00Z": _outside(_ALL_YEARS),
    "each name in parameters must have 1 to 128 characters": _keys_beyond(128),
    "a key must have 1 to 317 characters": _keys_beyond(317),
    "containers must contain one named engine": _no_engine,
}
