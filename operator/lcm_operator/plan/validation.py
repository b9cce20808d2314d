"""Validates a parsed plan beyond its schema.

The operator does it at arming (Armed=False, PlanUnsupported), the engine again before it acts: a plan is
rejected, never run in part.
"""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from lcm_operator.api.bounds import unread_because
from lcm_operator.api.plan import Activity, Http, Plan
from lcm_operator.api.similar import did_you_mean
from lcm_operator.plan.faults import Fault, Place
from lcm_operator.plan.performable import activity_faults


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


def unsupported(plan: Plan, parameters: Mapping[str, str] | None = None) -> list[Fault]:
    """Return the validation errors that keep the engine from running `plan`, given known parameters."""
    values = parameters or {}
    known = {activity.name for activity in plan.all_activities}
    jumps_nowhere = plan.finish_at not in {None, *(activity.name for activity in plan.activities)}
    return [
        *([Fault(("finishAt",), "must be the name of one of activities")] if jumps_nowhere else []),
        *_activities("activities", plan.activities, known, values),
        *_activities("onFailure", plan.on_failure, known, values),
        *_activities("finally", plan.finally_, known, values),
    ]


def _activities(
    field: str, activities: tuple[Activity, ...], known: set[str], parameters: Mapping[str, str]
) -> Iterator[Fault]:
    for index, activity in enumerate(activities):
        if activity.wait is not None and activity.wait.after not in {None, *known}:
            yield Fault((field, index, "wait", "after"), "must be the name of an activity of this plan")
        if activity.http is not None:
            yield from _http(activity.http, (field, index, "http"))
        for fault in activity_faults(activity, parameters):
            yield Fault((field, index, *fault.place), fault.message)


def _http(http: Http, place: Place) -> Iterator[Fault]:
    if why := unread_because(http.json_body):
        yield Fault((*place, "json"), why)
    if http.json_body is not msgspec.UNSET and http.body is not None:
        yield Fault((*place, "body"), "excludes json, at most one of them may be set")
    if not set(http.secret_capture) <= set(http.capture):
        yield Fault((*place, "secretCapture"), "must name entries of capture")
