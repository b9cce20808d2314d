"""The one list-and-watch: what it yields, and how it handles an API server that is unavailable or errs."""

import asyncio
import json
import logging
from contextlib import aclosing

import pytest
from tests.unit.kube.answering import answering

from lcm_operator.kube.errors import UnavailableError
from lcm_operator.kube.follow import Changed, Deleted, Listed, Listing, ListWatch
from lcm_operator.kube.resources import TRIALS
from lcm_operator.kube.session import pooled
from lcm_operator.kube.wired import lean

TRANSPORTS = [pytest.param(pooled, id="aiohttp"), pytest.param(lean, id="http1")]
EXPIRED = (200, b'{"type":"ERROR","object":{"code":410,"reason":"Expired"}}\n')
DOWN = (503, b"starting")
BOOKMARK = ("BOOKMARK", {"metadata": {"resourceVersion": "8"}})


def raw(name, version, **more):
    return {"metadata": {"name": name, "uid": f"u-{name}", "resourceVersion": str(version)}} | more


def page(version, *objects, more=""):
    metadata = {"resourceVersion": str(version), "continue": more}
    return 200, json.dumps({"metadata": metadata, "items": objects}).encode()


def watch(*events):
    return 200, b"".join(
        json.dumps({"type": kind, "object": about}).encode() + b"\n" for kind, about in events
    )


def short(event):
    match event:
        case Listing():
            return "listing"
        case Listed():
            return f"listed {','.join(sorted(event.uids))} at {event.resource_version}"
        case Changed():
            return f"{event.head.name}@{event.head.resource_version}"
        case Deleted():
            return f"no {event.head.name}@{event.head.resource_version}"


def follow(answers, most, transport=pooled, **options):
    """Follow Trials while the API server gives these answers; return what was yielded and asked."""
    left, asked, events = list(answers), [], []

    def answer(line):
        asked.append(line.split()[1].partition("?")[2])
        return left.pop(0) if left else DOWN

    async def followed():
        async with answering(answer) as access, transport(access, connections=2) as client:
            since = options.pop("since", "")
            stream = ListWatch(client, TRIALS, "n", **{"read": dict} | options)
            async with asyncio.timeout(20), aclosing(stream.events(since)) as found:
                async for event in found:
                    events.append(short(event))
                    if len(events) == most:
                        return

    asyncio.run(followed())
    return events, asked


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("lcm_operator.kube.backoff._FIRST_SECONDS", 0.001)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_lists_page_by_page_and_then_watches(transport):
    events, asked = follow(
        [
            page(5, raw("a", 2), more="token"),
            page(5, raw("b", 4)),
            watch(
                ("ADDED", raw("c", 6)),
                BOOKMARK,
                ("DELETED", raw("a", 9)),
            ),
        ],
        6,
        transport,
    )
    assert events == ["listing", "a@2", "b@4", "listed u-a,u-b at 5", "c@6", "no a@9"]
    assert "continue=token" in asked[1]
    assert "resourceVersion=5" in asked[2]
    assert "allowWatchBookmarks=true" in asked[2]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_watch_is_opened_again_where_it_ended(transport):
    _, asked = follow(
        [
            page(5),
            watch(("ADDED", raw("a", 6))),
            watch(BOOKMARK),
            watch(("MODIFIED", raw("a", 9))),
        ],
        4,
        transport,
    )
    versions = [part for line in asked for part in line.split("&") if part.startswith("resourceVersion")]
    assert versions == ["resourceVersion=5", "resourceVersion=6", "resourceVersion=8"]


@pytest.mark.parametrize(
    "expired", [pytest.param(EXPIRED, id="an event"), pytest.param((410, b"{}"), id="an answer")]
)
def test_expired_watch_is_followed_by_a_list(expired):
    events, _ = follow([page(5, raw("a", 2)), expired, page(9, raw("b", 7))], 6)
    assert events == ["listing", "a@2", "listed u-a at 5", "listing", "b@7", "listed u-b at 9"]


def test_list_that_expires_is_begun_again():
    events, _ = follow([page(5, raw("a", 2), more="token"), (410, b"{}"), page(9, raw("b", 7))], 5)
    assert events == ["listing", "a@2", "listing", "b@7", "listed u-b at 9"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "trouble",
    [
        DOWN,
        (429, b""),
        (401, b""),
        (403, b""),
        (404, b""),
        (200, b""),
        (200, b"<html>"),
        (200, b'{"metadata":{}}'),
        (200, b'{"metadata":{"resourceVersion":7},"items":[]}'),
        (200, b'{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":5}}]}'),
        (200, b'{"metadata":{"resourceVersion":"7"},"items":["a"]}'),
    ],
)
def test_list_is_asked_for_until_it_is_one(transport, trouble):
    events, _ = follow([trouble, trouble, page(5, raw("a", 2))], 5, transport)
    assert events == ["listing"] * 3 + ["a@2", "listed u-a at 5"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "trouble",
    [
        DOWN,
        (403, b""),
        (200, b""),
        (200, b"garbage\n"),
        (200, b'{"type":"ADDED"'),
        (200, b'{"type":"ADDED","object":{}}\n'),
        (200, b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n'),
        (200, b'{"type":"ADDED","object":{"metadata":{"name":7,"resourceVersion":"8"}}}\n'),
        (200, b'{"type":"ERROR","object":{"code":500,"message":"etcd"}}\n'),
    ],
)
def test_watch_that_brings_nothing_is_followed_by_a_list(transport, trouble):
    events, _ = follow([page(5), trouble, page(9, raw("b", 7)), watch(("ADDED", raw("c", 10)))], 6, transport)
    assert events == ["listing", "listed  at 5", "listing", "b@7", "listed u-b at 9", "c@10"]


def test_watch_that_broke_after_an_event_continues_from_it():
    broken = (200, watch(("ADDED", raw("a", 6)))[1] + b"garbage\n")
    events, asked = follow([page(5), broken, watch(("ADDED", raw("b", 7)))], 4)
    assert events == ["listing", "listed  at 5", "a@6", "b@7"]
    assert "resourceVersion=6" in asked[2]


def test_since_a_version_there_is_no_first_list():
    events, asked = follow([watch(("MODIFIED", raw("a", 6)))], 1, since="5", name="a")
    assert events == ["a@6"]
    assert "resourceVersion=5" in asked[0]
    assert "fieldSelector=metadata.name%3Da" in asked[0]


def readable(about):
    if about.get("spec") is not None:
        raise ValueError(about["spec"])
    return about


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_unreadable_object_is_reported_once_and_skipped(transport, caplog):
    bad = {"spec": "nonsense"}
    answers = [
        page(5, raw("a", 2), raw("b", 3, **bad), raw("c", 4)),
        watch(("MODIFIED", raw("b", 6, **bad)), ("MODIFIED", raw("b", 7)), ("DELETED", raw("b", 8))),
    ]
    with caplog.at_level(logging.WARNING):
        events, _ = follow(answers, 6, transport, read=readable)
    assert events == ["listing", "a@2", "c@4", "listed u-a,u-b,u-c at 5", "b@7", "no b@8"]
    assert [record.getMessage() for record in caplog.records] == [
        'unreadable object kind=Trial namespace="" name=b error=nonsense'
    ]


def test_object_that_stays_unreadable_is_reported_for_each_reason(caplog):
    answers = [
        page(5, raw("b", 3, spec="one")),
        watch(
            *(("MODIFIED", raw("b", 6, spec=why)) for why in ("one", "two", "two")), ("ADDED", raw("c", 9))
        ),
    ]
    with caplog.at_level(logging.WARNING):
        follow(answers, 3, read=readable)
    assert len(caplog.records) == 2


def test_outage_is_reported_once_and_its_end_as_well(caplog, monkeypatch):
    monkeypatch.setattr("lcm_operator.kube.backoff._WARN_FROM_SECONDS", 0.002)
    with caplog.at_level(logging.INFO):
        follow([DOWN] * 6 + [page(5), watch(("ADDED", raw("a", 6)))], 9, longest_pause=0.002)
    texts = [record.getMessage() for record in caplog.records]
    assert [text.partition(";")[0].partition(" doing")[0] for text in texts] == [
        "API server request failed",
        "API server answers again",
    ]
    assert "following trials" in texts[0]


def test_asks_no_sooner_than_the_api_server_wants(mocker):
    sleep = mocker.patch("lcm_operator.kube.backoff.asyncio.sleep")
    listed = mocker.Mock(side_effect=UnavailableError(429, "TooManyRequests", "slowly", 7.0))

    async def followed():
        async for _ in ListWatch(mocker.Mock(listed=listed), TRIALS, "n", read=dict).events():
            if listed.call_count == 3:
                return

    asyncio.run(followed())
    assert [call.args for call in sleep.await_args_list] == [(7.0,)] * 3


def test_silence_is_counted_from_the_last_event():
    class Clock:
        seconds = 0.0

        def elapsed(self):
            return self.seconds

    clock = Clock()

    async def followed():
        answers = [page(5), watch(BOOKMARK)]
        async with (
            answering(lambda _: answers.pop(0) if answers else DOWN) as access,
            pooled(access) as client,
        ):
            stream = ListWatch(client, TRIALS, "n", read=dict, clock=clock)
            silences = []
            async for _ in stream.events():
                silences.append(stream.silence())
                clock.seconds += 100
                silences.append(stream.silence())
                if not answers:
                    break
            return silences

    assert asyncio.run(followed()) == [0.0, 100.0] * 3
