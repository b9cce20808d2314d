"""A list that is read while it arrives: in any pieces, of any length, and what is kept of it."""

import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.registry.lists import read_list

from lcm_operator.registry.errors import BadReplyError
from lcm_operator.registry.listing import LONGEST_ENTRY, Selection

NOW = datetime(2031, 1, 1, tzinfo=UTC)


def entry(trial_id: Any, minutes: float = 0, **more: Any) -> dict[str, Any]:
    return {"id": trial_id, "start_time": (NOW + timedelta(minutes=minutes)).isoformat(), **more}


def reply(*entries: Any) -> list[bytes]:
    return [json.dumps(entries).encode()]


def ids(chunks: list[bytes], **selection: Any) -> list[str]:
    return [found.id for found in read_list(chunks, Selection(**selection)).entries]


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_pieces_of_any_size_give_the_same_list(size: int):
    text = json.dumps([entry("ä"), 12, entry(1.5, more=[{"deep": "]},{"}]), entry("b")], ensure_ascii=False)
    content = f" {text}\n".encode()

    whole = read_list([content])
    assert read_list(content[at : at + size] for at in range(0, len(content), size)) == whole
    assert ([found.id for found in whole.entries], whole.total, whole.bad) == (["ä", "1.5", "b"], 4, 1)


def test_of_the_others_the_soonest_that_lie_ahead_are_kept_in_order():
    chunks = reply(entry("late", 9), entry("mine", 8), entry("past", -1), entry("soon", 1), entry("next", 2))

    listing = read_list(chunks, Selection({"mine"}, others=2, after=NOW))

    assert [found.id for found in listing.entries] == ["mine", "soon", "next"]
    assert (listing.total, listing.left_out) == (5, 1)


def test_the_first_of_two_entries_counts_even_if_it_is_not_kept():
    chunks = reply(entry("a", -1), entry("a", 5), entry("mine", -1), entry("mine", 5))

    listing = read_list(chunks, Selection({"mine"}, others=5, after=NOW))

    assert [(found.id, found.start_time < NOW) for found in listing.entries] == [("mine", True)]


def test_nothing_else_is_kept_where_only_own_trials_matter():
    listing = read_list(reply(entry("a"), entry("mine")), Selection({"mine"}, others=0))

    assert ([found.id for found in listing.entries], listing.total, listing.left_out) == (["mine"], 2, 0)


@pytest.mark.parametrize("others", [0, 5])
def test_what_is_wanted_by_more_than_its_id_is_kept_whenever_it_starts(others):
    selection = Selection({"mine"}, others=others, after=NOW, also=lambda trial_id: trial_id == "known")

    listing = read_list(reply(entry("known", -9), entry("past", -1), entry("known", 5)), selection)

    assert [(found.id, found.start_time < NOW) for found in listing.entries] == [("known", True)]
    assert listing.left_out == 0


def test_long_ids_are_kept_up_to_a_bound_and_the_rest_is_counted():
    many = 2 * 1_000_000 // 250
    listing = read_list(reply(*(entry(f"{number:0250}", number) for number in range(many))))

    assert len(listing.entries) == 4000
    assert listing.left_out == many - 4000


def test_a_long_list_costs_little_memory():
    def chunks() -> Iterator[bytes]:
        yield b"["
        for number in range(20):
            part = ",".join(json.dumps(entry(f"{number}-{each}")) for each in range(1000))
            yield (b"," if number else b"") + part.encode()
        yield b"]"

    tracemalloc.start()
    listing = read_list(chunks(), Selection(others=10))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (listing.total, len(listing.entries), listing.left_out) == (20_000, 10, 19_990)
    assert peak < 1_000_000


def test_a_byte_order_mark_is_passed_over():
    assert ids([b"\xef\xbb\xbf", *reply(entry("a"))]) == ["a"]


BAD = {
    "depth in an entry": (
        b'[{"id": "a"}, {"more": ' + b"[" * 200_000,
        "it is not JSON: entry 1 nests too deeply",
    ),
    "an entry without end": (
        b'[{"id": "' + b"a" * 2 * LONGEST_ENTRY,
        "entry 0 is not JSON, or has more than",
    ),
    "two lists": (b"[] []", "it is not JSON: '['"),
    "no comma": (b'[{"id": "a"} {"id": "b"}]', "it is not JSON: '{' after entry 0"),
    "a comma at the end": (b'[{"id": "a"},]', "it is not JSON: entry 1"),
    "UTF-16": ('[{"id": "a"}]'.encode("utf-16"), "it is not JSON"),
    "nothing": (b"", "it is not a list of trials"),
    "a number": (b"5", "it is not a list of trials"),
    "half a list": (b'[{"id": "a"},', "it is not JSON: it ends early"),
    "only the beginning": (b"[", "it is not JSON: it ends early"),
}


@pytest.mark.parametrize(("content", "why"), BAD.values(), ids=BAD.keys())
def test_what_is_no_list_is_an_error_that_says_why(content: bytes, why: str):
    with pytest.raises(BadReplyError) as caught:
        read_list([content[:100], content[100:]])

    assert str(caught.value).startswith(f"Failed to parse reply from Trial registry: {why}")


def test_more_entries_than_the_bound_are_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lcm_operator.registry.listing.MOST_ENTRIES", 3)
    assert ids(reply(*map(entry, "abc"))) == ["a", "b", "c"]
    with pytest.raises(BadReplyError, match="more than 3 entries"):
        ids(reply(*map(entry, "abcd")))
