"""What no plan may say, beyond what the schema refuses.

The operator asks at arming (Armed=False, PlanUnsupported), the engine asks again before it acts: a plan is
refused, never run in part.
"""

from collections.abc import Iterator

import msgspec

from lcm_operator.api.bounds import unread_because
from lcm_operator.api.plan import Activity, Http, Plan

IDEMPOTENCY_HEADER = "Idempotency-Key"
# The engine sets these itself: another value would defeat their purpose.
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


def unsupported(plan: Plan) -> list[str]:
    """Return the fields of `plan` that the engine would refuse, as paths like `activities[2].http.body`."""
    known = {activity.name for activity in (*plan.activities, *plan.on_failure, *plan.finally_)}
    jumps_nowhere = plan.finish_at not in {None, *(activity.name for activity in plan.activities)}
    return [
        *(["finishAt"] if jumps_nowhere else []),
        *_activities("activities", plan.activities, known),
        *_activities("onFailure", plan.on_failure, known),
        *_activities("finally", plan.finally_, known),
    ]


def _activities(field: str, activities: tuple[Activity, ...], known: set[str]) -> Iterator[str]:
    for index, activity in enumerate(activities):
        path = f"{field}[{index}]"
        if activity.wait is not None and activity.wait.after not in {None, *known}:
            yield f"{path}.wait.after"
        if activity.http is not None:
            yield from (f"{path}.http.{field}" for field in _http(activity.http))


def _http(http: Http) -> Iterator[str]:
    if why := unread_because(http.json_body):
        yield f"json ({why})"
    if http.json_body is not msgspec.UNSET and http.body is not None:
        yield "body"
    if not set(http.secret_capture) <= set(http.capture):
        yield "secretCapture"
    yield from (f"headers.{name}" for name in http.headers if name.lower() in _OWN_HEADERS)
