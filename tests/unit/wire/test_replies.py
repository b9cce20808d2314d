"""What is understood of what comes, however it is cut."""

import pytest

from lcm_operator.wire.errors import WireError
from lcm_operator.wire.replies import LARGEST_OVERHEAD, Reply

LENGTH = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: \xc3\xbc\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nbo\r\n2\r\ndy\r\n0\r\nT: x\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"


def fed(*parts, method="GET", end=False):
    reply = Reply(method)
    for part in parts:
        reply.feed(part)
    if end:
        reply.end()
    return reply


def bytewise(content):
    return [content[n : n + 1] for n in range(len(content))]


@pytest.mark.parametrize("cut", [lambda content: [content], bytewise], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(
    ("content", "keeps_alive"),
    [
        pytest.param(LENGTH, True, id="with a length"),
        pytest.param(CHUNKED, True, id="in chunks, with a trailer"),
        pytest.param(INTERIM + LENGTH, True, id="after interim replies"),
        pytest.param(LENGTH.replace(b"X-A: 1", b"Connection: close"), False, id="the last of its connection"),
        pytest.param(LENGTH.replace(b"1.1", b"1.0"), False, id="of HTTP/1.0"),
    ],
)
def test_a_reply_is_whole(content, keeps_alive, cut):
    reply = fed(*cut(content))

    assert (reply.status, reply.take(), reply.complete) == (200, b"body", True)
    assert reply.keeps_alive is keeps_alive


def test_headers_are_joined_in_any_case_without_interim_ones_and_trailers():
    reply = fed(INTERIM + LENGTH)
    assert (reply.headers["X-A"], reply.headers.get("x-A"), "X-a" in reply.headers) == ("1, ü", "1, ü", True)
    assert "link" not in reply.headers
    assert reply.headers.get("none") is None
    assert "t" not in fed(CHUNKED).headers


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_statuses_have_no_body(status):
    assert fed(b"HTTP/1.1 " + status + b"\r\n\r\n").complete


def test_reply_to_head_has_no_body_and_is_the_last_of_its_connection():
    reply = fed(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", method="HEAD")
    assert (reply.status, reply.take(), reply.complete, reply.keeps_alive) == (200, b"", True, False)


def test_without_a_length_it_ends_with_the_connection():
    reply = fed(b"HTTP/1.1 200 OK\r\n\r\nbo", b"dy")
    assert not reply.complete
    reply.end()
    assert (reply.take(), reply.complete, reply.keeps_alive) == (b"body", True, False)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"", "before a reply", id="nothing"),
        pytest.param(INTERIM, "before a reply", id="interim replies only"),
        pytest.param(LENGTH[:20], "before a reply", id="half a head"),
        pytest.param(LENGTH[:-1], "within the reply", id="less than its length"),
        pytest.param(CHUNKED[:-8], "within the reply", id="chunks without the last"),
    ],
)
def test_it_was_cut_off_after(content, why):
    with pytest.raises(WireError, match=why):
        fed(content, end=True)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"SSH-2.0-x\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", id="bare newlines"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two lengths"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            id="a length and chunks",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nX\xe4: 1\r\n\r\n", id="a header's name beyond ASCII"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", id="a chunk of size x"),
        pytest.param(
            b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", id="a change of protocol"
        ),
    ],
)
def test_it_is_no_reply(content):
    with pytest.raises(WireError):
        fed(content)


@pytest.mark.parametrize("more", [b"H", LENGTH, b"\0"], ids=["its begin", "as a whole", "garbage"])
@pytest.mark.parametrize("joined", [True, False], ids=["together with the first", "after it"])
def test_a_second_reply_is_refused_and_the_first_one_stands(joined, more):
    reply = Reply("GET")
    last = LENGTH + more
    if not joined:
        reply.feed(LENGTH)
        last = more
    with pytest.raises(WireError):
        reply.feed(last)
    assert (reply.complete, reply.take()) == (True, b"body")


@pytest.mark.parametrize(
    ("begin", "again"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: yyyyyyyyyyyy\r\n", id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"yyyyyyyyyyyyyyy", id="one header"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="interim replies"),
        pytest.param(CHUNKED[:-2], b"X: yyyyyyyyyyyy\r\n", id="trailers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;",
            b"yyyyyyyyyyyyyyy",
            id="an extension of a chunk",
        ),
    ],
)
def test_it_is_not_read_without_end(begin, again):
    reply = fed(begin)
    reply.take()
    many = LARGEST_OVERHEAD // len(again)
    for _ in range(many - len(begin)):
        reply.feed(again)
    with pytest.raises(WireError, match="headers are larger than"):
        reply.feed(again * (len(begin) + 2))


def test_many_small_chunks_are_no_headers():
    reply = fed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(LARGEST_OVERHEAD):
        reply.feed(b"1\r\nx\r\n")
    assert reply.buffered == LARGEST_OVERHEAD
