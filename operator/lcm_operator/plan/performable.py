"""What makes an activity fail for certain, before it asks or runs anything. Pure.

Values of plain parameters count. Those of Secrets, outputs and responses are unknown before the activity is
performed: then only the literal text beside them counts.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from lcm_operator.api.plan import Activity, Exec, Http
from lcm_operator.plan.faults import Fault, Place
from lcm_operator.plan.templates import Scope, is_known
from lcm_operator.plan.urls import url_problem
from lcm_operator.plan.values import TemplateError

IDEMPOTENCY_HEADER = "Idempotency-Key"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_AUTHORITY = re.compile(r"[A-Za-z0-9._~:\[\]-]+")
# The engine sets these headers; other values would defeat their purpose, or the framing of the request.
_OWN_HEADERS = {
    IDEMPOTENCY_HEADER.lower(),
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
Check = Callable[[str], str]
"""Returns why a text can't be used; '' if it can."""


def activity_faults(activity: Activity, parameters: Mapping[str, str]) -> Iterator[Fault]:
    """Yield the faults of an activity, given the values of the parameters that are known."""
    known = parameters if _runs(activity, parameters) else {}
    if activity.http is not None:
        yield from _http(activity.http, known, ("http",))
    if activity.exec is not None:
        yield from _exec(activity.exec, known, ("exec",))


def _runs(activity: Activity, parameters: Mapping[str, str]) -> bool:
    """Return whether the activity is performed for certain with these parameters."""
    if activity.when is None:
        return True
    try:
        return is_known(activity.when, parameters) and Scope({"parameters": parameters}).condition(
            activity.when
        )
    except TemplateError:  # `lint` reports it, or the engine
        return False


def _http(http: Http, known: Mapping[str, str], place: Place) -> Iterator[Fault]:
    if problem := url_problem(http.url, known):
        yield Fault((*place, "url"), problem)
    seen: set[str] = set()
    for name, source in http.headers.items():
        here, lower = (*place, "headers", name), name.lower()
        check = _authority if lower == "host" else _header_value
        if lower in _OWN_HEADERS:
            yield Fault(here, "the engine sets this header itself; remove it")
        elif name and not _TOKEN.fullmatch(name):
            yield Fault(
                here, "the name of a header must consist of letters, digits and any of !#$%&'*+-.^_`|~"
            )
        elif lower in seen:
            yield Fault(here, "repeats a header, upper and lower case count as the same")
        elif problem := _problem(source, known, check):
            yield Fault(here, problem)
        seen.add(lower)
    if http.basic_auth is not None and (problem := _problem(http.basic_auth.username, known, _username)):
        yield Fault((*place, "basicAuth", "username"), problem)


def _exec(program: Exec, known: Mapping[str, str], place: Place) -> Iterator[Fault]:
    if program.command and not program.command[0].strip():
        yield Fault((*place, "command", 0), "must be the name of a program")
    for index, source in enumerate(program.command):
        if problem := _problem(source, known, _no_null):
            yield Fault((*place, "command", index), problem)
    for name, source in program.env.items():
        if "=" in name or "\0" in name:
            yield Fault(
                (*place, "env", name), "the name of a variable must not contain = or the null character"
            )
        elif problem := _problem(source, known, _no_null):
            yield Fault((*place, "env", name), problem)


def _problem(source: str, known: Mapping[str, str], check: Check) -> str:
    """Return the problem of a text: of its value if that is known, else of its literal parts."""
    try:
        if is_known(source, known):
            return check(Scope({"parameters": known}).text(source))
        return next(
            filter(None, (check(part) for part in Scope({}).pieces(source) if isinstance(part, str))), ""
        )
    except TemplateError:  # `lint` reports malformed expressions; others may depend on an attempt
        return ""


def _header_value(value: str) -> str:
    return (
        "a header must not contain a line end or another control character" if _CONTROL.search(value) else ""
    )


def _authority(value: str) -> str:
    return (
        "must be a host, with a port or without" if value and not _AUTHORITY.fullmatch(value.strip()) else ""
    )


def _username(value: str) -> str:
    return "must not contain a colon: it ends the name in basic authentication" if ":" in value else ""


def _no_null(value: str) -> str:
    return "must not contain the null character: no program takes it" if "\0" in value else ""
