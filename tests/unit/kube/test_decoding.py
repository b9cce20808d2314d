"""JSON that anybody may have written: what is read of it, and that nothing makes it fail."""

import asyncio
import json
import math

import msgspec
import pytest

from lcm_operator.kube.decoding import (
    DEEPEST,
    decode,
    nests_deeper,
    plain,
    read,
    read_shallow,
)
from lcm_operator.kube.errors import UnavailableError

DEPTHS = (50, DEEPEST - 1, DEEPEST, DEEPEST + 1, 500, 980, 1_000, 1_500, 9_000, 100_000)


def lists(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def objects(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def mixed(levels: int) -> bytes:
    return b'[{"a":' * (levels // 2) + b"[]" * (levels % 2) + b"1" * (levels % 2 == 0) + b"}]" * (levels // 2)


def depth(value: object) -> int:
    levels, current = 0, [value]
    while any(isinstance(one, dict | list) for one in current):
        levels += 1
        containers = (one for one in current if isinstance(one, dict | list))
        current = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
    return levels


@pytest.mark.parametrize("levels", DEPTHS)
@pytest.mark.parametrize("nested", [lists, objects, mixed])
def test_neighbours_of_a_deep_value_are_read(nested, levels):
    text = b'{"metadata":{"name":"x"},"deep":' + nested(levels) + b',"after":[1,{"b":"]}"}]}'
    for value in (asyncio.run(read(text)), decode(text), asyncio.run(read_shallow(text))):
        assert value["metadata"] == {"name": "x"}
        assert value["after"] == [1, {"b": "]}"}]


@pytest.mark.parametrize("levels", DEPTHS)
@pytest.mark.parametrize("nested", [lists, objects, mixed])
def test_code_that_recurses_gets_no_more_than_the_deepest_level(nested, levels):
    text = b'{"deep":' + nested(levels) + b"}"
    value = asyncio.run(read_shallow(text))
    assert depth(value) <= DEEPEST
    assert value == json.loads(asyncio.run(plain(text)))
    if levels < DEEPEST:
        assert value == json.loads(text)


def test_only_what_nests_too_deep_is_cut():
    text = b'{"kept":' + objects(DEEPEST - 1) + b',"cut":' + objects(DEEPEST) + b"}"
    value = asyncio.run(read_shallow(text))
    assert msgspec.json.encode(value["kept"]) == objects(DEEPEST - 1)
    assert msgspec.json.encode(value["cut"]) == objects(DEEPEST).replace(b'{"a":1}', b"null")


@pytest.mark.parametrize(
    "string",
    [r'"]]]]"', r'"\"]"', r'"\\"', r'"\\\"[["', r'"{\\\\\"}"', r'"[\u005d"'],
)
def test_brackets_within_strings_do_not_count(string):
    text = b'{"deep":' + lists(2_000) + b',"s":' + string.encode() + b',"more":' + lists(2_000) + b"}"
    value = asyncio.run(read(text))
    assert value["s"] == json.loads(string)
    shallow = b"[" * 60 + b",".join([string.encode(), b"[]"] * 300) + b"]" * 60
    assert not nests_deeper(shallow, DEEPEST)
    assert nests_deeper(shallow, 60)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(b'{"a":1e999}', {"a": None}, id="a number that no float holds"),
        pytest.param(b'{"a":-1e999,"b":2}', {"a": None, "b": 2}, id="a negative one"),
        pytest.param(b'{"a":' + b"7" * 5_000 + b"}", {"a": None}, id="an integer of 5,000 digits"),
        pytest.param(b'{"a":"\\ud800","b":"c"}', {"a": "?", "b": "c"}, id="half a surrogate pair"),
        pytest.param(b'{"a":"\xff","b":"c"}', {"a": "\ufffd", "b": "c"}, id="not UTF-8"),
        pytest.param(b'{"a":"x\\u0000y"}', {"a": "x\0y"}, id="NUL"),
        pytest.param(b'{"a":1,"a":2}', {"a": 2}, id="a key that occurs twice"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', {"a": 1}, id="a byte order mark"),
        pytest.param(b'{"a":NaN}', {"a": None}, id="not a number"),
        pytest.param(b'{"a":"' + b"z" * 3_000_000 + b'"}', {"a": "z" * 3_000_000}, id="a huge string"),
    ],
)
def test_odd_scalars_are_read_as_far_as_they_go(text, value):
    assert asyncio.run(read(text)) == decode(text) == value
    kopf = json.loads(asyncio.run(plain(text)).decode())
    assert kopf == value or math.isinf(kopf["a"])


@pytest.mark.parametrize(
    "text", [b"", b"<html>", b'{"a":', b'{"a":"', b"[" * 5_000, b'{"a":1}}', b"]" * 5_000]
)
def test_what_is_no_json_is_an_error_of_ours(text):
    for reading in (read, read_shallow, plain):
        with pytest.raises(UnavailableError):
            asyncio.run(reading(text))
    with pytest.raises(UnavailableError):
        decode(text)


def test_ordinary_text_is_handed_on_as_it_is():
    text = json.dumps({"items": [{"n": {"f:a": {"f:b": {}}}, "s": 'x"]'}] * 80}).encode()
    assert asyncio.run(plain(text)) is text


def test_the_loop_continues_while_a_huge_text_is_cut():
    async def ticks() -> int:
        count, reading = 0, asyncio.create_task(read(b'["\xff",' + b",".join([lists(2_000)] * 200) + b"]"))
        while not reading.done():
            count += 1
            await asyncio.sleep(0)
        assert len(reading.result()) == 201
        return count

    assert asyncio.run(ticks()) > 20
