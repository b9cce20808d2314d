"""What is wrong with a plan beyond its schema: what no engine runs, and what can't come out as it is meant.

The plan is given as it is in a file, and may be wrong in any other way too.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from lcm_operator.api.plan import Plan
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.plan.expressions import lookups
from lcm_operator.plan.expressions import parse as compiled
from lcm_operator.plan.rules import activities
from lcm_operator.plan.signals import ACTIVE, CALLBACKS, FINISH, KPI_LABEL
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.validation import Fault, Place, unsupported
from lcm_operator.plan.values import TemplateError

_MEMBERS = {
    "trial": frozenset({"id", "name", "namespace", "startTime", "attempt"}),
    "response": frozenset({"status", "headers", "text", "json"}),
}
_NAMES = {"parameters", "trial", "outputs", "values", "now", "range"}
_SIGNALS = (*CALLBACKS, ACTIVE, FINISH)
_SEEING_NO_RESPONSE: tuple[Place, ...] = (
    ("when",),
    ("http", "url"),
    ("http", "query"),
    ("http", "headers"),
    ("http", "basicAuth"),
    ("http", "json"),
    ("http", "body"),
    ("exec", "env"),
)
_SEEING_THE_RESPONSE: tuple[Place, ...] = (
    ("http", "expect", "condition"),
    ("http", "until", "condition"),
    ("http", "capture"),
)
_CONDITIONS = {"when", "condition"}


class _Text(msgspec.Struct, frozen=True):
    """A text of an activity, and where in it."""

    source: str
    place: Place
    sees_response: bool
    sees_itself: bool = False

    @property
    def is_condition(self) -> bool:
        """Whether it must come out true or false."""
        return self.place[-1] in _CONDITIONS and self.place[-2:-1] != ("capture",)


class _Seen(msgspec.Struct, frozen=True):
    """What an activity may look up: parameters, and of what comes before it outputs and values."""

    parameters: AbstractSet[str]
    outputs: dict[str, AbstractSet[str]]
    values: AbstractSet[str]


def faults(plan: Any, parameters: AbstractSet[str]) -> Iterator[Fault]:
    """Yield what is wrong with a plan that has these parameters; the places are from the plan on."""
    yield from _unsupported(plan)
    earlier: list[dict[str, Any]] = []
    left = [activity.get("name") for _, activity in activities(plan)]
    for place, activity in activities(plan):
        seen = _Seen(
            parameters,
            {str(one.get("name")): _outputs(one) for one in earlier},
            {key for one in earlier for key in _keys(one, "set")},
        )
        found = [*_wait(activity, seen, left[len(earlier) :]), *_expressions(activity, seen)]
        yield from (Fault((*place, *fault.place), fault.message) for fault in found)
        earlier.append(activity)


def _unsupported(plan: Any) -> Iterator[Fault]:
    """Yield the headers that are the engine's own; what else it refuses the schema refuses too."""
    try:
        refused = unsupported(parse(plan, Plan))
    except MalformedError:  # the schema has told why
        return
    yield from (fault for fault in refused if "headers" in fault.place)


def _at(activity: dict[str, Any], place: Place) -> Any:
    """Return what an activity has at a place, None if it does not."""
    found: Any = activity
    for key in place:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _keys(activity: dict[str, Any], *place: str) -> AbstractSet[str]:
    found = _at(activity, place)
    return found.keys() if isinstance(found, dict) else frozenset()


def _outputs(activity: dict[str, Any]) -> AbstractSet[str]:
    return frozenset({"exitCode"}) if "exec" in activity else _keys(activity, "http", "capture")


def _wait(activity: dict[str, Any], seen: _Seen, later: list[Any]) -> Iterator[Fault]:
    match activity:
        case {"wait": {"signal": str(signal)}} if signal not in _SIGNALS:
            yield Fault(("wait", "signal"), f"no such signal can come, there are {', '.join(_SIGNALS)}")
        case {"wait": {"signal": "active"}} if KPI_LABEL not in seen.values:
            why = f"active is taken while {KPI_LABEL} is Idle; no activity before sets {KPI_LABEL}"
            yield Fault(("wait", "signal"), why)
    match activity:  # one that there is not at all has been told by the schema
        case {"wait": {"after": str(after)}} if after in later:
            yield Fault(("wait", "after"), f"{after} does not come before this wait")


def _expressions(activity: dict[str, Any], seen: _Seen) -> Iterator[Fault]:
    for text in _texts(activity):
        try:
            if "{{" in text.source or "{%" in text.source:
                compiled(text.source)
                yield from _unknown(text, activity, seen)
            elif text.is_condition:
                Scope({}).condition(text.source)
        except TemplateError as error:
            yield Fault(text.place, str(error))


def _unknown(text: _Text, activity: dict[str, Any], seen: _Seen) -> Iterator[Fault]:
    own = {str(activity.get("name")): _outputs(activity)} if text.sees_itself else {}
    outputs = seen.outputs | own
    known: dict[str, AbstractSet[str]] = {
        **_MEMBERS,
        "parameters": seen.parameters,
        "outputs": outputs.keys(),
        "values": seen.values,
    }
    names = _NAMES | ({"response"} if text.sees_response else set())
    told: set[str] = set()
    for name, *members in lookups(text.source):
        message = None
        if name not in names:
            message = "response is not there yet" if name == "response" else f"{name} is no name"
        elif len(members) == 1 and name in known and not _is_member(members[0], known[name]):
            message = _missing(name, members[0])
        elif len(members) == 2 and name == "outputs" and members[0] in outputs:  # noqa: PLR2004
            activity_name, output = members
            if not _is_member(output, outputs[activity_name]):
                message = f"{activity_name} has no output {output}"
        if message and message not in told:
            told.add(message)
            yield Fault(text.place, message)


def _is_member(name: str, members: AbstractSet[str]) -> bool:
    """Return whether it can be looked up; objects have methods too."""
    return name in members or hasattr(dict, name)


def _missing(name: str, member: str) -> str:
    match name:
        case "parameters":
            return f"the parameter {member} is not declared"
        case "outputs":
            return f"no activity {member} comes before this one"
        case "values":
            return f"no activity before this one sets {member}"
        case _:
            return f"{name} has no {member}"


def _texts(activity: dict[str, Any]) -> Iterator[_Text]:
    """Yield the texts of an activity, as far as they are ones."""
    for place in _SEEING_NO_RESPONSE:
        yield from (_Text(source, here, False) for here, source in _leaves(_at(activity, place), place))
    for place in _SEEING_THE_RESPONSE:
        yield from (_Text(source, here, True) for here, source in _leaves(_at(activity, place), place))
    for here, source in _leaves(_at(activity, ("set",)), ("set",)):
        yield _Text(source, here, "http" in activity, sees_itself=True)


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
