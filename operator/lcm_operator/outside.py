"""The readers of what comes from outside: text in its charset, and credentials. Pure.

All processes read replies, bodies and Secrets by these, so that a form has one verdict (ADR 0044). Engines
load this module, so its imports must be light.
"""

import re

UTF_8 = "utf-8-sig"
"""UTF-8, of which a byte order mark is no part."""
_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x1f\x7f]")


class OutsideError(ValueError):
    """Something from outside cannot be read; the text must not repeat it."""


def encoding(content_type: str | None) -> str:
    """Return the codec for a Content-Type, UTF-8 if it names no charset. Raises OutsideError."""
    found = _CHARSET.search(content_type or "")
    if found is None or found[1].lower() in {"utf-8", "utf8"}:
        return UTF_8
    try:
        b"    ".decode(found[1], errors="replace")
    except (LookupError, ValueError):
        raise OutsideError(f"its charset {ascii(found[1])[:64]} is not known") from None
    return found[1]


def text(content: bytes, content_type: str | None) -> str:
    """Return a body as text. Raises OutsideError, which names the charset."""
    codec = encoding(content_type)
    try:
        return content.decode(codec)
    except ValueError:
        shown = "UTF-8" if codec == UTF_8 else codec
        raise OutsideError(f"it is not text in {shown}: its Content-Type must name the charset") from None


def credential(field: str, value: str) -> str:
    """Return a credential without the mark, blanks and line ends around it that files and editors add.

    Raises OutsideError, which names `field` and not the value, if it contains a control character.
    """
    found = value.strip().removeprefix("\ufeff").strip()
    if _CONTROL.search(found):
        raise OutsideError(f"{field} contains a control character, such as a line end within it")
    return found
