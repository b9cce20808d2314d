"""Lists page by page, of which only the heads are decoded."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from tests.unit.kube.answering import answering
from tests.unit.kube.test_hostile_answers import nested, trial

from lcm_operator.kube.errors import GoneError, UnavailableError
from lcm_operator.kube.listing import Head, read_page
from lcm_operator.kube.resources import TRIALS
from lcm_operator.kube.session import pooled


def page(*items, more=""):
    metadata = msgspec.json.encode({"resourceVersion": "9", "continue": more})
    return b'{"metadata":' + metadata + b',"items":[' + b",".join(items) + b"]}"


def names_and_objects(content):
    async def scenario():
        found = await read_page(content)
        return [(listed.head, await listed.read()) for listed in found]

    return asyncio.run(scenario())


def test_heads_and_objects_of_a_page():
    ((head, found),) = names_and_objects(page(trial("a")))
    assert head == Head(name="a", namespace="n", uid="u-a", resource_version="7")
    assert found["spec"]["activities"] == [{"http": {"json": None}}]


@pytest.mark.parametrize("levels", [500, 980, 1_500, 9_000])
def test_a_deep_object_leaves_the_rest_of_its_page(levels):
    found = names_and_objects(page(trial("a"), trial("deep", nested(levels)), trial("z")))
    assert [head.name for head, _ in found] == ["a", "deep", "z"]
    assert [raw["metadata"]["uid"] for _, raw in found] == ["u-a", "u-deep", "u-z"]


def test_an_empty_list_may_be_null():
    assert names_and_objects(b'{"metadata":{"resourceVersion":"9"},"items":null}') == []


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b'{"metadata":{}}', b'{"metadata":7}'])
def test_what_is_no_list_is_an_error(content):
    with pytest.raises(UnavailableError):
        names_and_objects(content)


def listed(answers):
    """Return the names on each page that a client yields, and how it asked for them."""
    asked = []

    def answer(request):
        asked.append(parse_qs(urlsplit(request.split()[1]).query))
        return answers[len(asked) - 1]

    async def scenario():
        async with answering(answer) as access, pooled(access) as client:
            return [[each.head.name for each in found] async for found in client.listed(TRIALS, limit=2)]

    return asyncio.run(scenario()), asked


def test_a_list_is_read_in_pages():
    found, asked = listed([(200, page(trial("a"), trial("b"), more="next")), (200, page(trial("c")))])
    assert found == [["a", "b"], ["c"]]
    assert asked == [{"limit": ["2"]}, {"limit": ["2"], "continue": ["next"]}]


def test_a_list_that_can_not_be_continued_says_so():
    with pytest.raises(GoneError):
        listed([(200, page(trial("a"), more="next")), (410, b'{"reason":"Expired"}')])
