"""Checks a plan beyond its schema: names in expressions, waits, and what no engine runs.

The plan is raw, as in a file, and may violate its schema as well.
"""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

import msgspec

from lcm_operator.api.plan import Activity
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.plan.branches import beside
from lcm_operator.plan.expressions import lookups
from lcm_operator.plan.expressions import parse as compiled
from lcm_operator.plan.faults import Fault, Place
from lcm_operator.plan.numbers import NUMBERS, checked
from lcm_operator.plan.performable import activity_faults
from lcm_operator.plan.rules import activities
from lcm_operator.plan.signals import KPI_LABEL
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError

_MEMBERS = {
    "trial": frozenset({"id", "name", "namespace", "startTime", "attempt"}),
    "response": frozenset({"status", "headers", "text", "json"}),
    "stdout": frozenset({"text", "json", "lastLine"}),
    "failure": frozenset({"activity", "message", "attempt", "time"}),
}
_NAMES = frozenset({"parameters", "trial", "outputs", "values", "now", "range"})
_AT_THE_END = frozenset({"failure", "outcome"})
"""What expressions of onFailure and finally see in addition."""
_NUMBERS: tuple[Place, ...] = tuple(tuple(field.split(".")) for field in NUMBERS)
_DIGITS = re.compile(r"[0-9.]+")
"""Text that the schema takes for a number."""
_SIGNAL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TEXTS: dict[Place, str] = {
    ("when",): "",
    ("http", "url"): "",
    ("http", "query"): "",
    ("http", "headers"): "",
    ("http", "basicAuth"): "",
    ("http", "json"): "",
    ("http", "body"): "",
    ("http", "expect", "condition"): "response",
    ("http", "until", "condition"): "response",
    ("http", "capture"): "response",
    ("exec", "command"): "",
    ("exec", "env"): "",
    ("exec", "stdin"): "",
    ("exec", "capture"): "stdout",
    **dict.fromkeys(_NUMBERS, ""),
}
"""Where an activity has texts, and the variable that only they see."""
_CONDITIONS = {"when", "condition"}


class _Text(msgspec.Struct, frozen=True):
    """A text of an activity and its place there."""

    source: str
    place: Place
    sees: str = ""
    sees_itself: bool = False

    @property
    def is_condition(self) -> bool:
        """Whether its value must be true or false."""
        return self.place[-1] in _CONDITIONS and self.place[-2:-1] != ("capture",)

    @property
    def is_program(self) -> bool:
        """Whether it is the name of a program, which is not rendered."""
        return self.place == ("exec", "command", 0)


class _Seen(msgspec.Struct, frozen=True):
    """The names that an activity may use: parameters, and outputs and values of earlier activities.

    `parallel` are the activities of other branches of its block, whose outputs and values it may not use.
    """

    names: AbstractSet[str]
    parameters: AbstractSet[str]
    outputs: dict[str, AbstractSet[str]]
    values: AbstractSet[str]
    parallel: AbstractSet[str]


def faults(plan: Any, parameters: AbstractSet[str]) -> Iterator[Fault]:
    """Yield the validation errors of a plan with these parameters; places are relative to the plan."""
    listed = list(activities(plan))
    labels = [activity.get("branch") for _, activity in listed]
    for number, (place, activity) in enumerate(listed):
        parallel = beside(labels, number)
        earlier = [one for other, (_, one) in enumerate(listed[:number]) if other not in parallel]
        later = [one.get("name") for _, one in listed[number:]]
        seen = _Seen(
            _NAMES if place[0] == "activities" else _NAMES | _AT_THE_END,
            parameters,
            {str(one.get("name")): _outputs(one) for one in earlier},
            {key for one in earlier for key in _keys(one, "set")},
            {str(listed[other][1].get("name")) for other in parallel},
        )
        found = [*_unperformable(activity), *_wait(activity, seen, later), *_expressions(activity, seen)]
        yield from (Fault((*place, *fault.place), fault.message) for fault in found)


def _unperformable(activity: dict[str, Any]) -> Iterator[Fault]:
    """Yield what makes an activity fail for certain, if its fields are of the right types."""
    with suppress(MalformedError):  # the schema reports it
        yield from activity_faults(parse(activity, Activity), {})


def _at(activity: dict[str, Any], place: Place) -> Any:
    """Return the value at a place of an activity, or None."""
    found: Any = activity
    for key in place:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _keys(activity: dict[str, Any], *place: str) -> AbstractSet[str]:
    found = _at(activity, place)
    return found.keys() if isinstance(found, dict) else frozenset()


def _outputs(activity: dict[str, Any]) -> AbstractSet[str]:
    if "exec" in activity:
        return _keys(activity, "exec", "capture") | {"exitCode", "stdout", "stderr"}
    return _keys(activity, "http", "capture")


def _wait(activity: dict[str, Any], seen: _Seen, later: list[Any]) -> Iterator[Fault]:
    match activity:
        case {"wait": {"signal": str(signal)}} if not _SIGNAL.fullmatch(signal):
            why = f"{signal} must be a DNS label: lower-case letters, digits and -, as in /callback/slice"
            yield Fault(("wait", "signal"), why)
        case {"wait": {"signal": "active"}} if KPI_LABEL not in seen.values:
            why = f"active is accepted while {KPI_LABEL} is Idle, but no earlier activity sets {KPI_LABEL}"
            yield Fault(("wait", "signal"), why)
    match activity:  # the schema reports unknown names
        case {"wait": {"after": str(after)}} if after in seen.parallel:
            why = f"{after} must come before this wait, but it runs in a parallel branch"
            yield Fault(("wait", "after"), why)
        case {"wait": {"after": str(after)}} if after in later:
            yield Fault(("wait", "after"), f"{after} must come before this wait")


def _expressions(activity: dict[str, Any], seen: _Seen) -> Iterator[Fault]:
    for text in _texts(activity):
        try:
            if text.is_program:
                if "{{" in text.source:
                    yield Fault(text.place, "only arguments may contain expressions, not the program's name")
            elif "{{" in text.source or "{%" in text.source:
                compiled(text.source)
                yield from _unknown(text, activity, seen)
            elif text.is_condition:
                Scope({}).condition(text.source)
            elif text.place in _NUMBERS and _DIGITS.fullmatch(text.source):
                checked(text.source, ".".join(map(str, text.place)))
        except TemplateError as error:
            yield Fault(text.place, str(error).removeprefix(f"{'.'.join(map(str, text.place))}: "))


def _unknown(text: _Text, activity: dict[str, Any], seen: _Seen) -> Iterator[Fault]:
    own = {str(activity.get("name")): _outputs(activity)} if text.sees_itself else {}
    outputs = seen.outputs | own
    known: dict[str, AbstractSet[str]] = {
        **_MEMBERS,
        "parameters": seen.parameters,
        "outputs": outputs.keys(),
        "values": seen.values,
    }
    names = seen.names | {text.sees}
    reported: set[str] = set()
    for name, *members in lookups(text.source):
        message = None
        if name not in names:
            message = _unknown_name(name)
        elif len(members) == 1 and name in known and not _is_member(members[0], known[name]):
            message = _missing(name, members[0], seen)
        elif len(members) == 2 and name == "outputs" and members[0] in outputs:  # noqa: PLR2004
            activity_name, output = members
            if not _is_member(output, outputs[activity_name]):
                message = f"{activity_name} has no output {output}"
        if message and message not in reported:
            reported.add(message)
            yield Fault(text.place, message)


def _unknown_name(name: str) -> str:
    if name in _AT_THE_END:
        return f"{name} exists only in onFailure and finally"
    if name in _MEMBERS:
        return f"{name} does not exist yet here"
    return f"{name} is not a known name"


def _is_member(name: str, members: AbstractSet[str]) -> bool:
    """Return whether the name exists; objects also have methods."""
    return name in members or hasattr(dict, name)


def _missing(name: str, member: str, seen: _Seen) -> str:
    match name:
        case "outputs" if member in seen.parallel:
            return f"{member} runs in a parallel branch; its outputs exist only after the block"
        case "parameters":
            return f"the parameter {member} is not declared"
        case "outputs":
            return f"no earlier activity is named {member}"
        case "values":
            return f"no earlier activity sets {member}"
        case _:
            return f"{name} has no {member}"


def _texts(activity: dict[str, Any]) -> Iterator[_Text]:
    """Yield the texts of an activity; other values are skipped."""
    for place, sees in _TEXTS.items():
        yield from (_Text(source, here, sees) for here, source in _leaves(_at(activity, place), place))
    sees = "response" if "http" in activity else "stdout" if "exec" in activity else ""
    for here, source in _leaves(_at(activity, ("set",)), ("set",)):
        yield _Text(source, here, sees, sees_itself=True)


def _leaves(tree: Any, place: Place) -> Iterator[tuple[Place, str]]:
    match tree:
        case str():
            yield place, tree
        case dict():
            for key, below in tree.items():
                yield from _leaves(below, (*place, key))
        case list():
            for index, below in enumerate(tree):
                yield from _leaves(below, (*place, index))
