"""Who may call which route: keys, tokens of pods and callbacks, origins."""

import json

import pytest
from tests.unit.rest.harness import KEY, READ_KEY, TOKEN, Sidecar, asked


@pytest.fixture
def sidecar(tmp_path):
    return Sidecar(tmp_path)


# Keys and tokens


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Authorization": KEY}, id="bare"),
        pytest.param({"Authorization": f"Bearer {KEY}"}, id="as a bearer"),
        pytest.param({"Authorization": f"bearer  {KEY} "}, id="as a bearer, badly written"),
        pytest.param({"Authorization": "", "Cookie": f"a=b; Authorization={KEY}"}, id="in a cookie"),
        pytest.param(
            {"Authorization": "wrong", "Cookie": f"Authorization={KEY}"}, id="in a cookie beside a wrong one"
        ),
        pytest.param(
            {"Authorization": KEY, "Cookie": "Authorization=wrong"}, id="in the header beside a wrong cookie"
        ),
    ],
)
def test_a_key_lets_in(sidecar, headers):
    assert asked(sidecar, "DELETE", "/debug/engine/a", **headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Authorization": ""}, id="none"),
        pytest.param({"Authorization": KEY.upper()}, id="in capitals"),
        pytest.param({"Authorization": f"Basic {KEY}"}, id="another scheme"),
        pytest.param({"Authorization": "Bearer"}, id="a scheme alone"),
        pytest.param({"Authorization": "", "X-Api-Key": KEY}, id="another header"),
        pytest.param({"Authorization": "", "Cookie": f"authorization={KEY}"}, id="another cookie"),
        pytest.param({"Authorization": TOKEN}, id="a callback token"),
        pytest.param({"Authorization": "other.body.sign"}, id="a foreign pod's token"),
    ],
)
@pytest.mark.parametrize("line", ["GET /status", "POST /trial/scheduling", "DELETE /debug/engine/a"])
def test_without_a_key_nobody_gets_in(sidecar, headers, line):
    answer = asked(sidecar, *line.split(), **headers)

    assert answer.said == (401, "Unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert sidecar.calls == []


def test_a_key_that_may_read_changes_nothing(sidecar):
    assert asked(sidecar, "GET", "/status", Authorization=READ_KEY).status == 200
    assert asked(sidecar, "DELETE", "/debug/engine/a", Authorization=READ_KEY).said == (403, "Forbidden")
    assert asked(sidecar, "POST", "/trial/scheduling", Authorization=READ_KEY).said == (403, "Forbidden")
    assert sidecar.calls == [("status",)]


def test_an_engine_comes_in_by_its_pod_s_token_for_its_own_trial_only(sidecar):
    token = "head.body.sign"

    assert asked(sidecar, "DELETE", "/debug/engine/a", Authorization=f"Bearer {token}").status == 200
    assert asked(sidecar, "DELETE", "/debug/engine/b", Authorization=token).status == 401
    assert asked(sidecar, "GET", "/status", Authorization=token).status == 401


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_callback_token_opens_its_own_routes_and_a_key_does_not(sidecar, method):
    assert asked(sidecar, method, "/token/a", Authorization=KEY).status == 401
    assert asked(sidecar, method, "/token/b", Authorization=TOKEN).status == 401
    assert asked(sidecar, method, "/token/a", Authorization=f"Bearer {TOKEN}").said == (200, "Success")


def test_a_token_is_issued_for_a_key_and_ends_when_it_is_revoked(sidecar):
    assert json.loads(asked(sidecar, "POST", "/token/a").body) == {"Authorization": TOKEN}
    assert asked(sidecar, "DELETE", "/token/a", Authorization=TOKEN).status == 200
    assert asked(sidecar, "GET", "/token/a", Authorization=TOKEN).status == 401


def test_without_keys_everybody_may_do_everything_but_report_for_a_trial(tmp_path):
    sidecar = Sidecar(tmp_path, authenticated=False)

    assert asked(sidecar, "DELETE", "/debug/engine/a", Authorization="").status == 200
    assert asked(sidecar, "GET", "/token/a", Authorization="").status == 401


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/docs/", "/docs/start.js", "/openapi.json", "/healthz", "/readyz"]
)
def test_description_and_probes_ask_for_nothing(sidecar, path):
    assert asked(sidecar, "GET", path, Authorization="", Host="probe.example").status == 200


def test_a_foreign_origin_or_host_changes_nothing(sidecar):
    assert asked(sidecar, "DELETE", "/debug/engine/a", Origin="http://evil.example").said == (
        403,
        "Forbidden",
    )
    assert asked(sidecar, "DELETE", "/debug/engine/a", Host="evil.example").said == (
        421,
        "Misdirected Request",
    )
    assert sidecar.calls == []
    plain = asked(sidecar, "GET", "/status")
    foreign = asked(sidecar, "GET", "/status", Host="evil.example", Origin="http://evil.example")
    assert (foreign.status, foreign.body, foreign.headers.keys()) == (200, plain.body, plain.headers.keys())
