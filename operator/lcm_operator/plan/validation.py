"""Validates a parsed plan beyond its schema.

The operator does it at arming (Armed=False, PlanUnsupported), the engine again before it acts: a plan is
rejected, never run in part.
"""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from lcm_operator.api.bounds import unread_because
from lcm_operator.api.plan import Activity, Http, Plan
from lcm_operator.api.similar import did_you_mean

Place = tuple[str | int, ...]
"""A place in a plan or a manifest: the keys and indices that lead to it."""
IDEMPOTENCY_HEADER = "Idempotency-Key"
# The engine sets these headers; other values would defeat their purpose.
_OWN_HEADERS = {
    IDEMPOTENCY_HEADER.lower(),
    "connection",
    "content-length",
    "expect",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


class Fault(msgspec.Struct, frozen=True):
    """A validation error and its place."""

    place: Place
    message: str

    @property
    def path(self) -> str:
        """The place as text: `activities[2].http.url`."""
        keys = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.place)
        return "".join(keys).removeprefix(".") or "."

    def __str__(self) -> str:
        """Return place and message."""
        return f"{self.path}: {self.message}"


def parameter_faults(given: Collection[str], declared: Mapping[str, bool]) -> list[Fault]:
    """Return the errors of a Trial's parameters, given its plan's and whether each is required."""
    unknown = [
        Fault(("parameters", name), f"not declared by the plan{did_you_mean(name, declared)}")
        for name in sorted(set(given) - declared.keys())
    ]
    missing = [
        Fault(("parameters", name), "required by the plan")
        for name, is_required in declared.items()
        if is_required and name not in given
    ]
    return unknown + missing


def unsupported(plan: Plan) -> list[Fault]:
    """Return the validation errors that keep the engine from running `plan`."""
    known = {activity.name for activity in plan.all_activities}
    jumps_nowhere = plan.finish_at not in {None, *(activity.name for activity in plan.activities)}
    return [
        *([Fault(("finishAt",), "must be the name of one of activities")] if jumps_nowhere else []),
        *_activities("activities", plan.activities, known),
        *_activities("onFailure", plan.on_failure, known),
        *_activities("finally", plan.finally_, known),
    ]


def _activities(field: str, activities: tuple[Activity, ...], known: set[str]) -> Iterator[Fault]:
    for index, activity in enumerate(activities):
        if activity.wait is not None and activity.wait.after not in {None, *known}:
            yield Fault((field, index, "wait", "after"), "must be the name of an activity of this plan")
        if activity.http is not None:
            yield from _http(activity.http, (field, index, "http"))


def _http(http: Http, place: Place) -> Iterator[Fault]:
    if why := unread_because(http.json_body):
        yield Fault((*place, "json"), why)
    if http.json_body is not msgspec.UNSET and http.body is not None:
        yield Fault((*place, "body"), "excludes json, at most one of them may be set")
    if not set(http.secret_capture) <= set(http.capture):
        yield Fault((*place, "secretCapture"), "must name entries of capture")
    for name in http.headers:
        if name.lower() in _OWN_HEADERS:
            yield Fault((*place, "headers", name), "the engine sets this header itself; remove it")
