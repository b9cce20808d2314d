"""Faults that would only show in flight, found before it."""

import pytest

from lcm_operator.api.plan import Activity
from lcm_operator.api.storage import parse
from lcm_operator.plan.performable import activity_faults

KNOWN = {"port": "99999", "bad": "a b", "line": "x\nHost: y", "user": "a:b", "none": "", "host": "partner"}


def faults(activity, parameters=KNOWN):
    return [str(fault) for fault in activity_faults(parse({"name": "a"} | activity, Activity), parameters)]


def ask(url="http://partner/", **http):
    return {"http": {"url": url} | http}


def run(*command, **more):
    return {"exec": {"command": list(command)} | more}


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://partner/a b", "blanks"),
        ("http://partner /", "blanks"),
        ("http://partner\\@evil/", "blanks"),
        ("http://partner/\0", "control characters"),
        ("http://partner/x\n", "control characters"),
        ("http://partner:99999/", "the port must be a number from 1 to 65535"),
        ("http://partner:0/", "the port must be a number from 1 to 65535"),
        ("http://partner:port/", "the port must be a number from 1 to 65535"),
        ("http://partner:-1/", "the port must be a number from 1 to 65535"),
        ("http:///x", "a host"),
        ("http://", "a host"),
        ("http://:80/", "a host"),
        ("ftp://partner/", "must begin with http:// or https://"),
        ("http://[::1", "an IPv6 address must be in brackets"),
        ("http://[::g]/", "not a URL"),
        ("http://::1/", "a host"),
        ("http://a..b/", "a host must be an address or consist of letters"),
        (f"http://{'a' * 64}/", "a host must be an address or consist of letters"),
        ("http://a,b/", "a host must be an address or consist of letters"),
        ("http://partner/../x", "`.` and `..` must not occur"),
        ("http://partner/%2e%2E/x", "`.` and `..` must not occur"),
        ("http://partner:{{ parameters.port }}/", "the port must be a number from 1 to 65535"),
        ("http://{{ parameters.bad }}/", "blanks"),
        ("{{ parameters.secret }}/a b", "blanks"),
        ("{{ parameters.secret }}/../x", "`.` and `..` must not occur"),
        ("http://partner/{{ outputs.b.id }}/../x", "`.` and `..` must not occur"),
    ],
)
def test_a_url_that_no_request_can_be_sent_to_is_found(url, why):
    (found,) = faults(ask(url))

    assert found.startswith("http.url: ")
    assert why in found


@pytest.mark.parametrize(
    "url",
    [
        "http://partner",
        "https://user:secret@partner:8443/x?y=a&z#end",
        "http://[::1]:8080/",
        "http://10.0.0.1/",
        "http://partner_1.example./%20/ü",
        "http://{{ parameters.host }}/{{ parameters.bad }}",
        "http://{{ parameters.secret }}:{{ parameters.unknown }}/{{ outputs.b.id }}",
        "{{ parameters.secret }}",
        "{{ parameters.secret | default('a b') }}/x",
    ],
)
def test_a_url_that_may_work_is_left_alone(url):
    assert faults(ask(url)) == []


@pytest.mark.parametrize(
    ("activity", "why"),
    [
        (ask(headers={"X Y": "1"}), "http.headers.X Y: the name of a header must consist of"),
        (ask(headers={"X\r\nY": "1"}), "the name of a header must consist of"),
        (ask(headers={"X": "a\nb"}), "http.headers.X: a header must not contain a line end"),
        (ask(headers={"X": "a\0"}), "another control character"),
        (ask(headers={"X": "{{ parameters.secret }}\n"}), "a header must not contain a line end"),
        (ask(headers={"X": "{{ parameters.line }}"}), "a header must not contain a line end"),
        (ask(headers={"X": "1", "x": "2"}), "http.headers.x: repeats a header"),
        (ask(headers={"Host": "a b"}), "http.headers.Host: must be a host"),
        (ask(headers={"Content-Length": "1"}), "the engine sets this header itself"),
        (ask(headers={"transfer-encoding": "chunked"}), "the engine sets this header itself"),
        (ask(headers={"Connection": "close"}), "the engine sets this header itself"),
        (ask(basicAuth={"username": "a:b", "password": "c"}), "http.basicAuth.username: must not contain"),
        (ask(basicAuth={"username": "{{ parameters.user }}", "password": "c"}), "must not contain a colon"),
        (run(""), "exec.command[0]: must be the name of a program"),
        (run("x", "a\0b"), "exec.command[1]: must not contain the null character"),
        (run("x", env={"A=B": "1"}), "exec.env.A=B: the name of a variable must not contain ="),
        (run("x", env={"A": "\0"}), "exec.env.A: must not contain the null character"),
    ],
)
def test_a_request_or_program_that_cannot_begin_is_found(activity, why):
    (found,) = faults(activity)

    assert why in found


def test_what_may_work_in_a_request_or_program_is_left_alone():
    headers = {"Host": "partner:80", "X-Note": "ü\tb", "Authorization": "{{ parameters.secret }}"}
    credentials = {"username": "{{ parameters.secret }}", "password": "a:b"}

    assert faults(ask(headers=headers, basicAuth=credentials)) == []
    assert faults(run("sh", "", "a=b", env={"A": "b=c", "B": "{{ outputs.b.id }}"})) == []


@pytest.mark.parametrize("when", ["{{ parameters.none }}", "{{ outputs.b is defined }}"])
def test_values_do_not_count_where_the_activity_may_be_skipped(when):
    assert faults(ask("{{ parameters.none }}/x") | {"when": when}) == []


def test_values_count_where_the_activity_is_performed_for_certain():
    assert faults(ask("{{ parameters.none }}/x") | {"when": "{{ parameters.host }}"}) == []
    assert faults(ask("{{ parameters.none }}/x") | {"when": "{{ parameters.host == 'partner' }}"})
    assert faults(ask("{{ parameters.none }}/x"))
