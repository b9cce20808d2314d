"""How a path finds its route."""

import pytest

from lcm_operator.rest.http.routing import Route, RouteTable


async def nothing(_):
    raise NotImplementedError


def route(method, path):
    return Route(method, path, nothing)


TABLE = RouteTable(
    [
        route("GET", "/"),
        route("GET", "/status"),
        route("POST", "/debug/trial/schedule-all"),
        route("POST", "/debug/trial/{id}/schedule"),
        route("DELETE", "/debug/trial/{id}/schedule"),
        route("DELETE", "/debug/engine/{id}"),
        route("POST", "/trial/{id}/callback/slice"),
        route("POST", "/trial/{id}/callback/{name}"),
    ]
)


@pytest.mark.parametrize(
    ("path", "methods", "trial_id"),
    [
        pytest.param("/", ["GET"], None, id="the root"),
        pytest.param("/status", ["GET"], None, id="plain"),
        pytest.param("/status/", ["GET"], None, id="with a slash at the end"),
        pytest.param("/%73tatus", ["GET"], None, id="percent-encoded"),
        pytest.param("/debug/trial/schedule-all", ["POST"], None, id="three segments"),
        pytest.param("/debug/trial/x/schedule", ["POST", "DELETE"], "x", id="with an ID"),
        pytest.param("/debug/trial/x/schedule/", ["POST", "DELETE"], "x", id="with an ID and a slash"),
        pytest.param("/debug/trial//schedule", ["POST", "DELETE"], "", id="with an empty ID"),
        pytest.param("/debug/trial/schedule-all/schedule", ["POST", "DELETE"], "schedule-all", id="a name"),
        pytest.param("/debug/engine/a%2Fb", ["DELETE"], "a/b", id="a slash in an ID"),
        pytest.param("/debug/engine/a%2fb%2F", ["DELETE"], "a/b/", id="slashes in an ID"),
        pytest.param("/debug/engine/%2E%2E", ["DELETE"], "..", id="two dots, encoded"),
        pytest.param("/debug/engine/..", ["DELETE"], "..", id="two dots as they are"),
        pytest.param("/debug/engine/.", ["DELETE"], ".", id="a dot"),
        pytest.param("/debug/engine/%C3%BCmlaut%20A", ["DELETE"], "ümlaut A", id="umlaut, blank and capital"),
        pytest.param("/debug/engine/ümlaut", ["DELETE"], "ümlaut", id="not encoded at all"),
        pytest.param("/debug/engine/a+b%252F", ["DELETE"], "a+b%2F", id="plus and percent stay"),
        pytest.param("/debug/engine/{id}", ["DELETE"], "{id}", id="braces"),
        pytest.param("/debug/engine/%FF", ["DELETE"], None, id="not UTF-8"),
        pytest.param("/debug/engine/\udcff", ["DELETE"], None, id="not UTF-8 and not encoded"),
        pytest.param("/debug/engine/%zz", ["DELETE"], "%zz", id="not an encoding"),
    ],
)
def test_a_path_finds_its_routes(path, methods, trial_id):
    found = TABLE.find(path)

    assert list(found.methods) == methods
    assert found.trial_id == trial_id


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("*", id="no path"),
        pytest.param("/Status", id="another case"),
        pytest.param("/status//", id="two slashes"),
        pytest.param("//status", id="two slashes before"),
        pytest.param("/x/../status", id="dots that would lead there"),
        pytest.param("/status%2F", id="an encoded slash at the end"),
        pytest.param("/debug/engine", id="no ID"),
        pytest.param("/debug/engine/", id="no ID but a slash"),
        pytest.param("/debug/engine/a/b", id="a slash in an ID, not encoded"),
        pytest.param("/debug/%FF/x", id="not UTF-8 where a word is expected"),
    ],
)
def test_other_paths_lead_nowhere(path):
    assert TABLE.find(path) is None


def test_a_route_is_in_the_table_once():
    with pytest.raises(ValueError, match="GET /status is in the table twice"):
        RouteTable([route("GET", "/status"), route("GET", "/status")])


@pytest.mark.parametrize(
    ("segment", "name"),
    [
        pytest.param("airspace", "airspace", id="a label"),
        pytest.param("a" * 63, "a" * 63, id="63 characters"),
        pytest.param("slice", "", id="a name with a route of its own"),
    ],
)
def test_a_dns_label_is_the_name_in_a_path(segment, name):
    found = TABLE.find(f"/trial/x/callback/{segment}")

    assert (found.trial_id, found.name) == ("x", name)


@pytest.mark.parametrize("segment", ["", "Slice", "a_b", "-a", "a-", "a" * 64, "a%2Fb", "%FF", "a.b"])
def test_other_text_is_not_a_name_in_a_path(segment):
    assert TABLE.find(f"/trial/x/callback/{segment}") is None
