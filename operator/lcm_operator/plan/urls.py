"""Renders the URLs of plans.

Scheme, host and port come from literal text or a parameter; values after them are percent-encoded. So no
response of one partner can redirect the next request, with its credentials, to another host.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv6Address
from urllib.parse import quote, unquote, urlencode, urlsplit

from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError, as_text, plain, quoted

_BEYOND_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*[/?#]")
_HOST = re.compile(
    r"([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?"
)
_LONGEST_HOST = 253
_KEPT = "%/:?#[]@!$&'()*+,;=-._~"


def render_url(source: str, query: Mapping[str, str], scope: Scope) -> str:
    """Return the rendered URL, with `query` added to its own. Raises TemplateError."""
    built = ""
    for piece in scope.pieces(source):
        if isinstance(piece, str):
            built += piece
        elif _BEYOND_AUTHORITY.match(built):
            built += quote(as_text(plain(piece.evaluate(scope.variables), source)), safe="")
        elif piece.names == {"parameters"}:
            built += as_text(plain(piece.evaluate(scope.variables), source))
        else:
            raise TemplateError(
                f"scheme, host and port must come from literal text or parameters: {quoted(source)}"
            )
    return _checked(built, query, source)


def url_problem(source: str, known: Mapping[str, str]) -> str:
    """Return why a URL can't be requested, whatever the unknown values are; '' if it can.

    `known` are parameters with their values. What is wrong with an expression itself is not reported.
    """
    with suppress(TemplateError):
        built, is_complete = _with_stand_ins(source, known)
        return (_problem if is_complete else _problem_of_text)(built)
    return ""


def _with_stand_ins(source: str, known: Mapping[str, str]) -> tuple[str, bool]:
    """Return a URL with `x` for each unknown value, and whether scheme, host and port are known."""
    scope = Scope({"parameters": known})
    built, is_complete = "", True
    for piece in scope.pieces(source):
        if isinstance(piece, str):
            built += piece
            continue
        value = "x"
        if piece.parameters is not None and piece.parameters <= known.keys():
            value = as_text(plain(piece.evaluate(scope.variables), source))
        if _BEYOND_AUTHORITY.match(built):
            built += quote(value, safe="")
        else:
            is_complete = is_complete and value != "x"
            built += value
    return built, is_complete


def without_secrets(url: str) -> str:
    """Return `url` for messages and logs: without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _checked(url: str, query: Mapping[str, str], source: str) -> str:
    if problem := _problem(url):
        raise TemplateError(f"{problem}: {quoted(source)}")
    parts = urlsplit(url)
    asked = "&".join(text for text in (parts.query, urlencode(query, quote_via=quote, safe="")) if text)
    path = quote(parts.path or "/", safe=_KEPT)
    return f"{parts.scheme}://{parts.netloc}{path}" + (f"?{quote(asked, safe=_KEPT)}" if asked else "")


def _problem(url: str) -> str:
    """Return why a URL can't be requested; '' if it can."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return _problem_of_text(url) or "not a URL, an IPv6 address must be in brackets"
    if problem := _problem_of_text(url):
        return problem
    if parts.scheme not in {"http", "https"} or not host or not parts.netloc.isascii():
        return "a URL must begin with http:// or https:// and a host"
    if not _is_host(host):
        return "not a URL, a host must be an address or consist of letters, digits, - and ."
    with suppress(ValueError):
        if parts.port != 0:
            return ""
    return "not a URL, the port must be a number from 1 to 65535"


def _is_host(host: str) -> bool:
    if ":" not in host:
        return len(host) <= _LONGEST_HOST and _HOST.fullmatch(host) is not None
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _problem_of_text(url: str) -> str:
    """Return what is wrong with the characters or the path of a URL or a part of one; '' if nothing is."""
    if not all(c.isprintable() for c in url) or " " in url or "\\" in url:
        return "a URL must not contain blanks, control characters or \\"
    path = re.split(r"[?#]", url, maxsplit=1)[0]
    if any(unquote(segment) in {".", ".."} for segment in path.split("/")):
        return "`.` and `..` must not occur in the path of a URL"
    return ""
