"""What is sent, to the byte, and what is not."""

import pytest

from lcm_operator.wire.errors import WireError
from lcm_operator.wire.messages import Origin, parse_url, request

HERE = Origin(tls=False, host="a.example", port=8080)


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        pytest.param("http://a.example", Origin(False, "a.example", 80), "/", id="a bare host"),
        pytest.param("https://a.example", Origin(True, "a.example", 443), "/", id="by TLS"),
        pytest.param(
            "http://u:p@A.example:8080/x/y?a=b#c",
            Origin(False, "a.example", 8080),
            "/x/y?a=b",
            id="user, password and fragment, which are not sent",
        ),
        pytest.param("http://[::1]:80?a", Origin(False, "::1", 80), "/?a", id="an address"),
    ],
)
def test_a_url_has_a_server_and_a_target(url, origin, target):
    assert parse_url(url) == (origin, target)


@pytest.mark.parametrize("url", ["ftp://a.example/", "http:///x", "/x", "http://a.example:x/"])
def test_no_url_for_us(url):
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        parse_url(url)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (HERE, "a.example:8080"),
        (Origin(False, "a.example", 80), "a.example"),
        (Origin(True, "a.example", 443), "a.example"),
        (Origin(True, "a.example", 80), "a.example:80"),
        (Origin(False, "::1", 80), "[::1]"),
        (Origin(False, "::1", 81), "[::1]:81"),
    ],
)
def test_the_host_is_named_with_its_port_where_that_is_not_the_usual_one(origin, host):
    assert origin.authority == host


def test_a_request_is_these_bytes():
    assert request(HERE, "PUT", "/x?a=b", {"X-Name": " ü\t"}, b"body") == (
        "PUT /x?a=b HTTP/1.1\r\nHost: a.example:8080\r\nX-Name: ü\r\nContent-Length: 4\r\n\r\nbody".encode()
    )


def test_a_host_that_is_given_is_kept():
    assert request(HERE, "GET", "/", {"host": "other"}) == b"GET / HTTP/1.1\r\nhost: other\r\n\r\n"


@pytest.mark.parametrize(("method", "said"), [("GET", False), ("DELETE", False), ("POST", True)])
def test_where_a_body_is_usual_its_absence_is_said(method, said):
    assert (b"Content-Length: 0" in request(HERE, method, "/", {})) is said


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        pytest.param("GET /", "/", {}, id="a method with a blank"),
        pytest.param("GET", "/a b", {}, id="a target with a blank"),
        pytest.param("GET", "/\r\n", {}, id="a target with a line's end"),
        pytest.param("GET", "/ü", {}, id="a target beyond ASCII"),
        pytest.param("GET", "", {}, id="no target"),
        pytest.param("GET", "/", {"X:": "secret"}, id="a name with a colon"),
        pytest.param("GET", "/", {"": "secret"}, id="no name"),
        pytest.param("GET", "/", {"X": "secret\r\nY: z"}, id="a value with a line's end"),
        pytest.param("GET", "/", {"X": "secret\n"}, id="a value that ends in a line's end"),
        pytest.param("GET", "/", {"X": "secret\0"}, id="a value with a nought"),
        pytest.param("GET", "/", {"X": "secret\udc80"}, id="a value that is no text"),
    ],
)
def test_it_is_not_sent_and_its_values_are_not_shown(method, target, headers):
    with pytest.raises(WireError) as error:
        request(HERE, method, target, headers)
    assert "secret" not in str(error.value)
