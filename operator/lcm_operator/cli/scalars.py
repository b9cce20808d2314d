"""What kubectl takes a YAML scalar for: the types of goyaml v2, and their JSON.

Between YAML 1.1 and 1.2: `y` and `on` are booleans, `0777` and `0o777` octal, but `12:30` and dates are text.
"""

import re
import struct
from base64 import b64decode
from datetime import date
from decimal import Decimal
from typing import Any

_TAG = "tag:yaml.org,2002:"
NULL, BOOL, INT, FLOAT, STR, TIME, BINARY = (
    _TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp", "binary")
)
_TYPES = (NULL, BOOL, INT, FLOAT, STR, TIME)
_WORDS: dict[str, tuple[str, Any]] = (
    {
        form: (tag, value)
        for tag, value, words in (
            (NULL, None, ("null",)),
            (BOOL, True, ("y", "yes", "true", "on")),
            (BOOL, False, ("n", "no", "false", "off")),
            (FLOAT, float("inf"), (".inf", "+.inf")),
            (FLOAT, float("-inf"), ("-.inf",)),
        )
        for word in words
        for form in (word, word.upper(), word.capitalize(), word.replace("inf", "Inf"))
    }
    | {"": (NULL, None), "~": (NULL, None)}
    | dict.fromkeys((".nan", ".NaN", ".NAN"), (FLOAT, float("nan")))
)
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"([Tt][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}([.,][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
    r"| [0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}([.,][0-9]+)?)?"
)
_OFFSET = re.compile(r"(^[^Tt]*|Z|[+-]([01][0-9]|2[0-4]):([0-5][0-9]|60))$")
_INTEGER = re.compile(
    r"(?P<sign>[+-]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)"
    r"|(?P<dec>0|[1-9][0-9]*))"
)
_BASES = {"hex": 16, "bin": 2, "oct": 8, "dec": 10}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DOTTED = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?")
_INT64, _UINT64 = range(-(2**63), 2**63), range(2**64)


def resolve(tag: str, text: str) -> Any:
    """Return the value of a scalar; an empty `tag` is that of a plain one. Raises ValueError."""
    if tag == BINARY:
        try:
            return b64decode("".join(text.split("\n")), validate=True).decode(errors="replace")
        except ValueError:
            raise ValueError("!!binary must be base64") from None
    if (tag and tag not in _TYPES) or tag == STR:
        return text
    found, value = _plain(text)
    if tag in ("", found) or (tag == TIME and _is_time(text)):
        return value
    if (tag, found) == (FLOAT, INT):
        return float(value)
    raise ValueError(f"`{text}` is not of type !!{tag.removeprefix(_TAG)}")


def _is_time(text: str) -> bool:
    """Return whether a text is a timestamp of a date that exists."""
    if not _DATE.fullmatch(text):
        return False
    year, month, day, *clock = (int(number) for number in re.findall(r"[0-9]+", text)[:6])
    try:
        date(year or 2000, month, day)
    except ValueError:
        return False
    if any(found > most for found, most in zip(clock, (23, 59, 59), strict=False)):
        return False
    return _OFFSET.search(text) is not None


def _plain(text: str) -> tuple[str, Any]:
    if text in _WORDS:
        return _WORDS[text]
    if text.startswith("."):
        number = float(text) if _DOTTED.fullmatch(text) else float("inf")
        return (FLOAT, number) if number != float("inf") else (STR, text)
    if text[0] in "+-0123456789":
        return _number(text.replace("_", "")) or (STR, text)
    return STR, text


def _number(text: str) -> tuple[str, Any] | None:
    if found := _INTEGER.fullmatch(text):
        base, digits = next((base, found[name]) for name, base in _BASES.items() if found[name] is not None)
        number = int(f"{found['sign']}{digits}", base) if len(digits) <= 64 else 2**64  # noqa: PLR2004
        if number in _INT64 or (number in _UINT64 and not found["sign"]):
            return INT, number
    if _FLOAT.fullmatch(text) and abs(float(text)) != float("inf"):
        return FLOAT, float(text)
    return None


def as_key(value: Any) -> str:
    """Return the key of a JSON object that a YAML key becomes. Raises ValueError for null."""
    match value:
        case None:
            raise ValueError("a key must not be null: put it in quotes")
        case bool():
            return "true" if value else "false"
        case float():
            return _shortest(value)
        case int() if value not in _INT64:
            raise ValueError(f"the key {value} has more than 64 bits: put it in quotes")
        case _:
            return str(value)


def _shortest(number: float) -> str:
    """Return a float as Go prints one of 32 bits: the fewest digits that tell it from its neighbours."""
    if number != number:  # noqa: PLR0124 - not a number
        return ".nan"
    single = _single(number)
    if abs(single) == float("inf"):
        return ".inf" if single > 0 else "-.inf"
    digits = next(
        text for text in (f"{single:.{most}e}" for most in range(9)) if _single(float(text)) == single
    )
    mantissa, _, exponent = digits.partition("e")
    if -5 < int(exponent) < 6:  # noqa: PLR2004 - as `g` in Go
        count = sum(character.isdigit() for character in mantissa)
        return f"{single:.{max(0, count - 1 - int(exponent))}f}"
    return digits


def _single(number: float) -> float:
    try:
        found: float = struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return number * float("inf")
    return found


def as_json(value: Any) -> Any:
    """Return the value that is sent: whole floats are integers. Raises ValueError for .inf and .nan."""
    match value:
        case float() if value - value != 0:
            raise ValueError(".inf and .nan can't be sent: JSON has no such numbers")
        case float() if value.is_integer() and (sent := int(Decimal(repr(value)))) in _INT64:
            return sent
        case int() if not isinstance(value, bool) and value not in _INT64:
            return float(value)
        case _:
            return value
