"""Validation of body, path and query, with a 422 that lists every validation error.

The error texts are those of the legacy service, which used pydantic 1; pydantic 2 validates. The OpenAPI
document is made from the same models.
"""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, StringConstraints, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from lcm_operator.api.names import LONGEST_ID
from lcm_operator.kube.decoding import DEEPEST, nests_deeper
from lcm_operator.outside import text
from lcm_operator.rest.http.replies import HttpRefusalError

Json = dict[str, Any]
M = TypeVar("M", bound=BaseModel)

_NO_CONTROLS = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
_UNPARSABLE = "There was an error parsing the body"


class InvalidFieldsError(Exception):
    """Fields failed validation; `faults` is the `detail` of the 422."""

    def __init__(self, faults: list[Json]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


def _as_text(value: object) -> object:
    """Return a string unchanged and a number or boolean as its text, which callers rely on."""
    if value is None:
        raise PydanticCustomError("type_error.none.not_allowed", "none is not an allowed value")
    if isinstance(value, float) and not math.isfinite(value):  # NaN, Infinity or 1e999
        raise PydanticCustomError("type_error.str", "str type expected")
    if isinstance(value, bool | int | float):
        return str(value)
    if not isinstance(value, str) or not _is_unicode(value):
        raise PydanticCustomError("type_error.str", "str type expected")
    return value


def _is_unicode(text: str) -> bool:
    """Return whether a text can be encoded: JSON escapes can spell lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_ID_SCHEMA = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID, "pattern": _NO_CONTROLS}
_SCALARS = [{"type": "number"}, {"type": "boolean"}]
_IdText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=_NO_CONTROLS),
    BeforeValidator(_as_text),
]
TrialId = Annotated[_IdText, WithJsonSchema(_ID_SCHEMA)]
TrialIdOrNumber = Annotated[_IdText, WithJsonSchema({"anyOf": [_ID_SCHEMA, *_SCALARS]})]
Text = Annotated[str, BeforeValidator(_as_text), WithJsonSchema({"anyOf": [{"type": "string"}, *_SCALARS]})]


class Scheduling(BaseModel):
    """The body of /debug/schedule-trial. A number or boolean is taken as its text."""

    trial_id: TrialIdOrNumber
    start_time: Text


class IdInPath(BaseModel):
    """The variable part of a path."""

    id: TrialId


class IdInQuery(BaseModel):
    """The query of /debug/add-heartbeat."""

    trial_id: TrialId


def from_body(model: type[M], raw: bytes, content_type: str | None = None) -> M:
    """Return the body as a `model`; of repeated keys the last counts.

    Raises InvalidFieldsError, HttpRefusalError if it cannot be decoded.
    """
    try:
        body = text(raw, content_type)
        if nests_deeper(body.encode(), DEEPEST):  # the decoder's own limit depends on the Python
            raise HttpRefusalError(400, _UNPARSABLE)
        value = json.loads(body) if body else None
    except json.JSONDecodeError as error:
        where = ["body", error.pos]
        raise InvalidFieldsError(
            [{"loc": where, "msg": str(error), "type": "value_error.jsondecode"}]
        ) from error
    except ValueError as error:  # not UTF-8, a number of 5,000 digits
        raise HttpRefusalError(400, _UNPARSABLE) from error
    if value is None:
        raise InvalidFieldsError([{"loc": ["body"], "msg": "field required", "type": "value_error.missing"}])
    if not isinstance(value, dict):
        raise InvalidFieldsError(
            [{"loc": ["body"], "msg": "value is not a valid dict", "type": "type_error.dict"}]
        )
    return _checked(model, value, "body")


def from_path(segment: str | None) -> str:
    """Return the trial ID of a path; `segment` is None if it is not UTF-8. Raises InvalidFieldsError."""
    # A lone surrogate fails validation like any other invalid text.
    return _checked(IdInPath, {"id": "\udcff" if segment is None else segment}, "path").id


def from_query(model: type[M], raw: str) -> M:
    """Return the query string as a `model`; the last value of each name counts. Raises InvalidFieldsError."""
    pairs = parse_qsl(raw, keep_blank_values=True, errors="surrogateescape")
    return _checked(model, dict(pairs), "query")


def _checked(model: type[M], members: Mapping[str, object], where: str) -> M:
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise InvalidFieldsError([_fault(found, where) for found in error.errors()]) from error


def _fault(found: Mapping[str, Any], where: str) -> Json:
    """Return one error in the legacy wording."""
    message, kind = _WORDS.get(found["type"], (found["msg"], found["type"]))
    return {"loc": [where, *found["loc"]], "msg": message, "type": kind}


_WORDS = {
    "missing": ("field required", "value_error.missing"),
    "string_too_short": ("ensure this value has at least 1 characters", "value_error.any_str.min_length"),
    "string_too_long": (
        f"ensure this value has at most {LONGEST_ID} characters",
        "value_error.any_str.max_length",
    ),
    "string_pattern_mismatch": (
        f'string does not match regex "{_NO_CONTROLS}"',
        "value_error.str.regex",
    ),
}
