"""What is read of a registry's reply, and what is passed over."""

import json
import tracemalloc
from typing import Any

import pytest
from tests.unit.registry.lists import read_list

from lcm_operator.registry.errors import BadReplyError
from lcm_operator.registry.replies import parse_trial

WHEN = "2031-01-01T09:00:00Z"


def entry(trial_id: Any, start_time: Any = WHEN) -> dict[str, Any]:
    return {"id": trial_id, "start_time": start_time}


BAD = {
    "no object": ("text", "entry 0: it is not an object"),
    "no id": ({"start_time": WHEN}, "entry 0: id is neither a string nor a number"),
    "a boolean for an id": (entry(True), "entry 0: id is neither a string nor a number"),
    "an empty id": (entry(""), "entry 0: id '' must have 1 to 253 characters"),
    "an id that is too long": (entry("x" * 254), f"entry 0: id '{'x' * 80}'… must have 1 to 253 characters"),
    "a control character": (entry("a\nb"), r"entry 0: id 'a\nb' must have 1 to 253 characters"),
    "no start time": ({"id": "a"}, "entry 0: id 'a': start_time is not a string"),
    "a number for a start time": (entry("a", 5), "entry 0: id 'a': start_time is not a string"),
    "a start time without offset": (
        entry("a", "2031-01-01T09:00:00"),
        "entry 0: id 'a': start_time '2031-01-01T09:00:00' is not of the form",
    ),
}


@pytest.mark.parametrize(("bad", "fault"), BAD.values(), ids=BAD.keys())
def test_a_bad_entry_is_reported_and_passed_over(bad: Any, fault: str):
    listing = read_list([json.dumps([bad, entry("good")]).encode()])

    assert [found.id for found in listing.entries] == ["good"]
    assert (listing.total, listing.bad) == (2, 1)
    assert listing.faults[0].startswith(fault)


def test_an_id_that_is_not_utf_8_is_a_bad_entry():
    listing = read_list([b'[{"id": "\xff", "start_time": "%s"}]' % WHEN.encode()])

    assert (listing.entries, listing.bad) == ((), 1)


def test_of_two_entries_with_one_id_the_first_counts():
    listing = read_list([json.dumps([entry(5), entry("5", "2032-01-01T09:00:00Z")]).encode()])

    assert [found.start_time.year for found in listing.entries] == [2031]


def test_a_number_is_taken_as_it_stands():
    assert [
        found.id for found in read_list([b'[{"id": 1.50, "start_time": "%s"}]' % WHEN.encode()]).entries
    ] == ["1.50"]


def test_many_entries_cost_little_and_few_faults_are_kept():
    content = json.dumps([entry(number) for number in range(25_000)] + ["bad"] * 25_000).encode()
    tracemalloc.start()
    listing = read_list([content])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (len(listing.entries), listing.total, listing.bad, len(listing.faults)) == (
        25_000,
        50_000,
        25_000,
        10,
    )
    assert peak < 15 * len(content)


def test_one_trial_keeps_the_id_that_was_asked_for():
    assert parse_trial(json.dumps(entry("other")).encode(), "asked").id == "asked"


@pytest.mark.parametrize("content", [b"[]", b"null", b"<html>", b"{}", b'{"start_time": 5}'])
def test_what_is_no_trial_is_an_error(content: bytes):
    with pytest.raises(BadReplyError):
        parse_trial(content, "a")
