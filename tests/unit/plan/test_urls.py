"""Where requests may go."""

import pytest

from lcm_operator.plan.templates import Scope
from lcm_operator.plan.urls import render_url, without_secrets
from lcm_operator.plan.values import TemplateError

SEEN = Scope(
    {
        "parameters": {"base": "http://enforcement:8080/api", "host": "enforcement", "bad": "http://a\n"},
        "trial": {"id": "T 1/ü?#%"},
        "outputs": {
            "get": {"id": "a/b", "url": "http://evil.example/", "up": "..", "n": 5, "end": ".evil.example"}
        },
        "values": {"host": "evil.example"},
    }
)


@pytest.mark.parametrize(
    ("source", "query", "url"),
    [
        pytest.param("http://a.example", {}, "http://a.example/", id="literal text"),
        pytest.param("{{ parameters.base }}", {}, "http://enforcement:8080/api", id="a parameter as it is"),
        pytest.param(
            "{{ parameters.base }}/trial/{{ trial.id }}",
            {},
            "http://enforcement:8080/api/trial/T%201%2F%C3%BC%3F%23%25",
            id="what comes after the host is percent-encoded",
        ),
        pytest.param(
            "https://{{ parameters.host }}:8443/x/{{ outputs.get.id }}",
            {},
            "https://enforcement:8443/x/a%2Fb",
            id="a parameter as the host",
        ),
        pytest.param(
            "http://a.example/{{ outputs.get.url }}",
            {},
            "http://a.example/http%3A%2F%2Fevil.example%2F",
            id="an output cannot become a host",
        ),
        pytest.param("http://a.example/ü", {}, "http://a.example/%C3%BC", id="literal text beyond ASCII"),
        pytest.param(
            "http://a.example/%2F{{ outputs.get.n }}", {}, "http://a.example/%2F5", id="encoded text"
        ),
        pytest.param(
            "http://a.example?x={{ outputs.get.id }}",
            {},
            "http://a.example/?x=a%2Fb",
            id="a query of its own",
        ),
        pytest.param(
            "http://a.example/x?y=1",
            {"callback_url": "http://lcm/trial/T 1&x=ü"},
            "http://a.example/x?y=1&callback_url=http%3A%2F%2Flcm%2Ftrial%2FT%201%26x%3D%C3%BC",
            id="the query is added, percent-encoded",
        ),
        pytest.param(
            "http://a.example/x#y", {"a": "b"}, "http://a.example/x?a=b", id="a fragment is not sent"
        ),
    ],
)
def test_a_url_is(source, query, url):
    assert render_url(source, query, SEEN) == url


@pytest.mark.parametrize(
    ("source", "why"),
    [
        pytest.param("{{ outputs.get.url }}", "scheme, host and port", id="an output as a whole"),
        pytest.param("http://{{ values.host }}/", "scheme, host and port", id="a value as the host"),
        pytest.param(
            "http://a{{ outputs.get.end }}/", "scheme, host and port", id="an output that ends the host"
        ),
        pytest.param(
            "{{ parameters.base[:18] }}{{ outputs.get.n }}",
            "scheme, host and port",
            id="an output after a bare host",
        ),
        pytest.param("http://{{ trial.id }}/", "scheme, host and port", id="the trial as the host"),
        pytest.param(
            "http://{{ parameters.host ~ values.host }}/", "scheme, host", id="a value beside a parameter"
        ),
        pytest.param(
            "http://a.example:{{ outputs.get.n }}/", "scheme, host and port", id="an output as the port"
        ),
        pytest.param("{{ parameters.bad }}/x", "control characters", id="a parameter that ends in a newline"),
        pytest.param("http://a.example/x y", "blanks", id="a blank"),
        pytest.param("http://a.example\\@b.example/", "blanks", id="a backslash"),
        pytest.param("ftp://a.example/", "http:// or https://", id="another scheme"),
        pytest.param("/x", "http:// or https://", id="no host"),
        pytest.param("http://a.example:x/", "not a URL", id="a port that is none"),
        pytest.param("http://a.example/x/{{ outputs.get.up }}/y", "`.` and `..`", id="a way up"),
        pytest.param("http://a.example/x/%2e%2E/y", "`.` and `..`", id="a way up in disguise"),
    ],
)
def test_a_url_is_refused_that_has(source, why):
    with pytest.raises(TemplateError, match=why):
        render_url(source, {}, SEEN)


def test_messages_show_a_url_without_user_password_and_query():
    assert without_secrets("http://user:pass@a.example:80/x?key=y") == "http://a.example:80/x"
