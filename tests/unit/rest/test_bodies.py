"""What does not fit is refused in the words that partners know, every fault at once."""

import json
import sys

import pytest

from lcm_operator.rest.http.bodies import (
    IdInQuery,
    InvalidFieldsError,
    Scheduling,
    from_body,
    from_path,
    from_query,
)
from lcm_operator.rest.http.replies import HttpRefusalError

ID, TIME = ["body", "trial_id"], ["body", "start_time"]
MISSING = ("field required", "value_error.missing")
NULL = ("none is not an allowed value", "type_error.none.not_allowed")
NO_TEXT = ("str type expected", "type_error.str")
NO_DICT = ("value is not a valid dict", "type_error.dict")
TOO_SHORT = ("ensure this value has at least 1 characters", "value_error.any_str.min_length")
TOO_LONG = ("ensure this value has at most 253 characters", "value_error.any_str.max_length")
A_COMMA_TOO_MANY = 16 if sys.version_info >= (3, 13) else 17  # json points at the comma, or behind it


def faults(ask):
    with pytest.raises(InvalidFieldsError) as refused:
        ask()
    assert all(list(fault) == ["loc", "msg", "type"] for fault in refused.value.faults)
    return [(fault["loc"], fault["msg"], fault["type"]) for fault in refused.value.faults]


def body(raw):
    return from_body(Scheduling, raw if isinstance(raw, bytes) else raw.encode())


def test_a_body_that_fits_is_taken():
    assert body('{"trial_id": "a b", "start_time": "now"}') == Scheduling(trial_id="a b", start_time="now")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param("", [(["body"], *MISSING)], id="no body"),
        pytest.param("null", [(["body"], *MISSING)], id="null"),
        pytest.param("{}", [(ID, *MISSING), (TIME, *MISSING)], id="an empty object: both, the ID first"),
        pytest.param('{"start_time": "x"}', [(ID, *MISSING)], id="no ID"),
        pytest.param('{"trial_id": "x"}', [(TIME, *MISSING)], id="no time"),
        pytest.param('{"start_time": null, "trial_id": null}', [(ID, *NULL), (TIME, *NULL)], id="both null"),
        pytest.param('{"trial_id": [], "start_time": {}}', [(ID, *NO_TEXT), (TIME, *NO_TEXT)], id="no texts"),
        pytest.param('{"trial_id": []}', [(ID, *NO_TEXT), (TIME, *MISSING)], id="one of each"),
        pytest.param('"text"', [(["body"], *NO_DICT)], id="a string"),
        pytest.param("5", [(["body"], *NO_DICT)], id="a number"),
        pytest.param("NaN", [(["body"], *NO_DICT)], id="no number"),
        pytest.param("false", [(["body"], *NO_DICT)], id="a boolean"),
        pytest.param("[]", [(["body"], *NO_DICT)], id="a list"),
        pytest.param('{"trial_id": "", "start_time": "x"}', [(ID, *TOO_SHORT)], id="an empty ID"),
        pytest.param(
            json.dumps({"trial_id": "x" * 254, "start_time": "x"}), [(ID, *TOO_LONG)], id="an ID too long"
        ),
        pytest.param(
            '{"trial_id": "\\ud800", "start_time": "\\udfff"}',
            [(ID, *NO_TEXT), (TIME, *NO_TEXT)],
            id="halves of surrogate pairs",
        ),
    ],
)
def test_every_fault_is_named(raw, expected):
    assert faults(lambda: body(raw)) == expected


@pytest.mark.parametrize(
    "text", ["a\nb", "\t", "a\u0000", "\u007f", "\u0085"], ids=["LF", "tab", "NUL", "DEL", "C1"]
)
def test_an_id_with_control_characters_is_refused(text):
    (fault,) = faults(lambda: body(json.dumps({"trial_id": text, "start_time": "x"})))

    assert (fault[0], fault[2]) == (ID, "value_error.str.regex")


@pytest.mark.parametrize(
    ("raw", "offset"),
    [
        pytest.param("{", 1, id="an object that does not end"),
        pytest.param("   ", 3, id="blanks"),
        pytest.param("trial_id=x&start_time=y", 0, id="a form"),
        pytest.param('{"trial_id": "x",}', A_COMMA_TOO_MANY, id="a comma too many"),
        pytest.param('{"trial_id": "a\nb"}', 15, id="a line break in a string"),
    ],
)
def test_what_is_not_json_is_refused_with_its_offset(raw, offset):
    (fault,) = faults(lambda: body(raw))

    assert (fault[0], fault[2]) == (["body", offset], "value_error.jsondecode")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param('{"trial_id": "ü"}'.encode("latin-1"), id="Latin-1"),
        pytest.param(b"[" * 60_000, id="nested beyond all measure"),
        pytest.param(b'{"x": ' + b"[" * 900 + b"]" * 900 + b"}", id="nested 900 deep"),
        pytest.param(b"1" * 5_000, id="a number of 5000 digits"),
    ],
)
def test_what_cannot_be_read_is_refused_as_a_whole(raw):
    with pytest.raises(HttpRefusalError) as refused:
        body(raw)
    assert (refused.value.status, refused.value.detail) == (400, "There was an error parsing the body")


@pytest.mark.parametrize(
    ("value", "text"),
    [("5", "5"), ("5.5", "5.5"), ("1e3", "1000.0"), ("true", "True"), ("false", "False"), ("-0", "0")],
)
def test_a_number_or_boolean_is_taken_as_its_text(value, text):
    found = body(f'{{"trial_id": {value}, "start_time": {value}}}')

    assert (found.trial_id, found.start_time) == (text, text)


def test_further_members_are_ignored():
    assert body('{"trial_id": "x", "start_time": "y", "z": [1]}').trial_id == "x"


def test_a_mark_of_utf_8_at_the_beginning_is_ignored():
    assert body(b'\xef\xbb\xbf{"trial_id": "x", "start_time": "y"}').trial_id == "x"


@pytest.mark.parametrize("trial_id", ["a", "..", ".", "a/b", "Ünder 1", "x" * 253, "\U0001f600" * 253])
def test_an_id_of_a_path_may_be_any_text(trial_id):
    assert from_path(trial_id) == trial_id


@pytest.mark.parametrize(
    ("segment", "kind"),
    [
        pytest.param("", TOO_SHORT[1], id="empty"),
        pytest.param("x" * 254, TOO_LONG[1], id="too long"),
        pytest.param("a\nb", "value_error.str.regex", id="control characters"),
        pytest.param(None, NO_TEXT[1], id="not UTF-8"),
    ],
)
def test_an_id_of_a_path_that_does_not_fit_is_refused(segment, kind):
    (fault,) = faults(lambda: from_path(segment))

    assert (fault[0], fault[2]) == (["path", "id"], kind)


@pytest.mark.parametrize(
    ("query", "trial_id"),
    [
        pytest.param("trial_id=a", "a", id="plain"),
        pytest.param("trial_id=a%20b+c%2Fd", "a b c/d", id="encoded"),
        pytest.param("trial_id=a&x=1&trial_id=b", "b", id="twice: the last one"),
    ],
)
def test_a_query_is_read(query, trial_id):
    assert from_query(IdInQuery, query).trial_id == trial_id


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        pytest.param("", MISSING[1], id="none"),
        pytest.param("trial=a", MISSING[1], id="another one"),
        pytest.param("trial_id=", TOO_SHORT[1], id="empty"),
        pytest.param("trial_id=%ff", NO_TEXT[1], id="not UTF-8"),
    ],
)
def test_a_query_that_does_not_fit_is_refused(query, kind):
    (fault,) = faults(lambda: from_query(IdInQuery, query))

    assert (fault[0], fault[2]) == (["query", "trial_id"], kind)
