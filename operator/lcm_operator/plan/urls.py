"""Renders the URLs of plans.

Scheme, host and port come from literal text or a parameter; values after them are percent-encoded. So no
response of one partner can redirect the next request, with its credentials, to another host.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlencode, urlsplit

from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError, as_text, plain, quoted

_BEYOND_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*[/?#]")
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


def without_secrets(url: str) -> str:
    """Return `url` for messages and logs: without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _checked(url: str, query: Mapping[str, str], source: str) -> str:
    if not all(c.isprintable() for c in url) or " " in url or "\\" in url:
        raise TemplateError(f"a URL must not contain blanks, control characters or \\: {quoted(source)}")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise TemplateError(f"not a URL: {quoted(source)}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or not parts.netloc.isascii():
        raise TemplateError(f"a URL must begin with http:// or https:// and a host: {quoted(source)}")
    if any(unquote(segment) in {".", ".."} for segment in parts.path.split("/")):
        raise TemplateError(f"`.` and `..` must not occur in the path of a URL: {quoted(source)}")
    asked = "&".join(text for text in (parts.query, urlencode(query, quote_via=quote, safe="")) if text)
    path = quote(parts.path or "/", safe=_KEPT)
    return f"{parts.scheme}://{parts.netloc}{path}" + (f"?{quote(asked, safe=_KEPT)}" if asked else "")
