"""The readers of text, JSON and credentials: one verdict for each form, wherever it enters."""

import json

import pytest
from tests.unit.registry.test_client import asks, server

from lcm_operator.engine.activities.exchange import Response
from lcm_operator.outside import OutsideError, credential, encoding
from lcm_operator.plan.values import Undefined
from lcm_operator.registry.errors import BadReplyError
from lcm_operator.rest.http.bodies import InvalidFieldsError, Scheduling, from_body
from lcm_operator.rest.http.replies import HttpRefusalError
from lcm_operator.wire.replies import Headers

TRIAL = {"id": "für-1", "start_time": "2031-01-01T10:00:00Z"}


def reply(content, content_type="application/json"):
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}"
    return lambda connection: connection.sendall(f"{head}\r\n\r\n".encode() + content)


def by_list(content, content_type):
    wrapped = content.replace("{".encode(plain(content_type)), "[{".encode(plain(content_type)), 1)
    with server(reply(wrapped + "]".encode(plain(content_type)), content_type)) as running:
        listing = asks(running).list_trials()
    if listing.bad:
        raise BadReplyError(listing.faults[0])
    return listing.entries[0].id


def by_single_trial(content, content_type):
    with server(reply(content, content_type)) as running:
        asks(running).trial("für-1")
    return "für-1"


def by_engine(content, content_type):
    headers = Headers()
    headers.add("Content-Type", content_type)
    found = Response(200, headers, content).variables()["json"]
    if isinstance(found, Undefined):
        raise BadReplyError(found.reason)
    return found["id"]


def by_rest(content, content_type):
    old, new = (name.encode(plain(content_type)) for name in ('"id"', '"trial_id"'))
    return from_body(Scheduling, content.replace(old, new), content_type).trial_id


def plain(content_type):
    """Return the charset of a header, without the mark that some codecs add."""
    charset = content_type.rpartition("charset=")[2].strip('"') if "charset" in content_type else "utf-8"
    return {"utf-16": "utf-16-le"}.get(charset, charset) if charset != "no-such" else "utf-8"


READERS = [by_list, by_single_trial, by_engine, by_rest]
BAD = (BadReplyError, HttpRefusalError, InvalidFieldsError)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("mark", "content_type"),
    [
        pytest.param(b"", "application/json", id="UTF-8"),
        pytest.param(b"\xef\xbb\xbf", "application/json", id="UTF-8 with a byte order mark"),
        pytest.param(b"\xef\xbb\xbf", "application/json; charset=UTF-8", id="the same by name"),
        pytest.param(b"", "application/json; charset=iso-8859-1", id="Latin-1"),
        pytest.param(b"", 'application/json;charset="windows-1252"', id="a charset in quotes"),
        pytest.param(b"\xff\xfe", "application/json; charset=utf-16", id="UTF-16"),
    ],
)
def test_json_is_read_in_its_charset(read, mark, content_type):
    content = json.dumps(TRIAL, ensure_ascii=False).encode(plain(content_type))
    assert read(mark + content, content_type) == "für-1"


@pytest.mark.parametrize("read", [by_list, by_single_trial, by_engine])
def test_text_of_another_charset_is_refused_with_the_word_charset(read):
    content = json.dumps(TRIAL, ensure_ascii=False).encode("latin-1")
    with pytest.raises(BadReplyError, match=r"not text in UTF-8.*charset"):
        read(content, "application/json")
    with pytest.raises(BadReplyError, match="charset 'no-such' is not known"):
        read(json.dumps(TRIAL).encode(), "application/json; charset=no-such")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=no-such"])
def test_rest_refuses_such_a_body_as_the_legacy_service_did(content_type):
    content = json.dumps(TRIAL, ensure_ascii=False).encode("latin-1")
    with pytest.raises(HttpRefusalError, match=r"There was an error parsing the body$"):
        by_rest(content, content_type)


@pytest.mark.parametrize("read", [by_list, by_single_trial, by_rest])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_in_json_is_no_id_and_no_time(read, number):
    for field in TRIAL:
        content = json.dumps(TRIAL | {field: 0}).replace(": 0", f": {number}").encode()
        if (read, field) != (by_single_trial, "id"):
            with pytest.raises(BAD):
                read(content, "application/json")


@pytest.mark.parametrize("read", READERS)
def test_of_repeated_keys_the_last_counts(read):
    content = json.dumps(TRIAL, ensure_ascii=False).replace('{"id"', '{"id": "first", "id"').encode()
    content = content if read is not by_rest else content.replace(b'"id": "first"', b'"trial_id": "first"')
    assert read(content, "application/json") == "für-1"


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"[" * 100_000, "nests too deeply"), (b"1" * 5000, "not JSON: "), (b"1e999", "not JSON: ")],
    ids=["nested", "5,000 digits", "infinite"],
)
def test_json_that_cannot_be_kept_says_so(content, why):
    with pytest.raises(BadReplyError, match=why):
        by_engine(content, "application/json")


@pytest.mark.parametrize("name", ["hex", "no-such", "rot13", "\0"])
def test_a_charset_that_is_none_is_refused(name):
    with pytest.raises(OutsideError, match="charset"):
        encoding(f"text/plain; charset={name}")


@pytest.mark.parametrize("text", ["\ufeffsesame\r\n", "sesame\n", "sesame\r\n", "\n sesame ", "sesame"])
def test_what_files_and_editors_add_to_a_credential_is_removed(text):
    assert credential("apikey", text) == "sesame"


@pytest.mark.parametrize("text", ["ses\name", "ses\rame", "ses\0ame", "ses\tame", "ses\x7fame"])
def test_a_credential_with_a_control_character_is_refused_by_its_field(text):
    with pytest.raises(OutsideError, match=r"^apikey of Secret lock contains a control character") as raised:
        credential("apikey of Secret lock", text)
    assert "ame" not in str(raised.value).replace("name", "")
