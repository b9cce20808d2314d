"""Numbers in a plan: given as such, or as text with an expression that renders to one. Pure.

A number that depends on plain parameters alone is resolved at arming, any other in the engine (ADR 0039).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from lcm_operator.api.engine import Parameter
from lcm_operator.api.plan import Activity, Number, Plan
from lcm_operator.api.storage import parse, serialise
from lcm_operator.plan.faults import Fault
from lcm_operator.plan.templates import Scope, is_known
from lcm_operator.plan.values import TemplateError, as_number, as_text, quoted

_LISTS = {"activities": "activities", "on_failure": "onFailure", "finally_": "finally"}


class Bounds(Struct, frozen=True):
    """Which numbers a field may have; `positive`: not `least` itself."""

    least: int
    most: int
    positive: bool = False
    whole: bool = False

    def __str__(self) -> str:
        """Return the range for a message."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} above 0, up to {self.most}" if self.positive else f"{kind} from 0 to {self.most}"

    def __contains__(self, number: float) -> bool:
        """Return whether a field may have this number."""
        inside = self.least <= number <= self.most and not (self.positive and number == self.least)
        return inside and (not self.whole or float(number).is_integer())


_YEARS = 315_360_000
_DAY = 86_400
NUMBERS: Mapping[str, Bounds] = {
    "http.timeoutSeconds": Bounds(0, _DAY, positive=True),
    "http.until.intervalSeconds": Bounds(0, _YEARS, positive=True),
    "http.until.timeoutSeconds": Bounds(0, _YEARS, positive=True),
    "wait.timeoutSeconds": Bounds(0, _YEARS, positive=True),
    "sleep.seconds": Bounds(0, _YEARS),
    "sleep.untilSeconds": Bounds(0, _YEARS),
    "exec.timeoutSeconds": Bounds(0, _YEARS, positive=True),
    "retry.limit": Bounds(0, 1000, whole=True),
    "retry.backoffSeconds": Bounds(0, _DAY),
}
"""The numeric fields of an activity, with the bounds that the CRDs have for numbers."""


def checked(value: Any, field: str) -> float:
    """Return `value` as a number of this field. Raises TemplateError if it is none, or out of bounds."""
    found = as_number(value)
    if found is None or found not in NUMBERS[field]:
        raise TemplateError(f"{field}: expected {NUMBERS[field]}, got {quoted(as_text(value))}")
    return int(found) if NUMBERS[field].whole else found


def number(source: Number, field: str, scope: Scope) -> float:
    """Render the number of a field. Raises TemplateError."""
    return checked(scope.value(source) if isinstance(source, str) else source, field)


def resolve_numbers(plan: Plan, parameters: Iterable[Parameter]) -> dict[str, Any] | list[Fault]:
    """Return the lists of `plan`, by attribute, with each number that plain parameters determine.

    Return the validation errors instead if there are any. Values of Secrets are unknown here: what depends on
    them stays an expression.
    """
    known = {parameter.name: parameter.value for parameter in parameters if parameter.value is not None}
    scope, faults, lists = Scope({"parameters": known}), [], {}
    for attribute, field in _LISTS.items():
        resolved = []
        for index, activity in enumerate(getattr(plan, attribute)):
            found, errors = _resolved(activity, scope)
            resolved.append(found)
            faults += [Fault((field, index, *error.place), error.message) for error in errors]
        lists[attribute] = tuple(resolved)
    return faults or lists


def _resolved(activity: Activity, scope: Scope) -> tuple[Activity, list[Fault]]:
    if not _has_text(activity):
        return activity, []
    raw, errors, changed = serialise(activity), [], False
    for field in NUMBERS:
        *way, last = field.split(".")
        holder: Any = raw
        for key in way:
            holder = holder.get(key) or {}
        if not isinstance(source := holder.get(last), str):
            continue
        try:
            if is_known(source, scope.variables["parameters"]):
                holder[last], changed = number(source, field, scope), True
        except TemplateError as error:
            errors.append(Fault((*way, last), str(error).removeprefix(f"{field}: ")))
    return parse(raw, Activity) if changed and not errors else activity, errors


def _has_text(activity: Activity) -> bool:
    """Return whether any number of an activity is text; most plans have none, and are resolved often."""
    parts = [
        activity.retry, activity.http, activity.http and activity.http.until,
        activity.wait, activity.sleep, activity.exec,
    ]  # fmt: skip
    names = ("limit", "backoff_seconds", "timeout_seconds", "interval_seconds", "seconds", "until_seconds")
    return any(isinstance(getattr(part, name, None), str) for part in parts for name in names)
