"""How a registry is reached: which Secret is sent where, and the error for one that does not fit."""

import base64
from typing import Any

import pytest

from lcm_operator.api.metadata import Metadata
from lcm_operator.api.registry import RegistryAuth, TrialRegistry, TrialRegistrySpec
from lcm_operator.api.trial import NameRef
from lcm_operator.registry.connection import Connection, connection_of
from lcm_operator.registry.errors import BadConnectionError

URL = "https://registry.example"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def registry(url: str = URL, **spec: Any) -> TrialRegistry:
    auth = RegistryAuth(secret_ref=NameRef(name="lock"))
    return TrialRegistry(
        metadata=Metadata(name="default", namespace="field", uid="u", generation=1),
        spec=TrialRegistrySpec(url=url, **({"auth": auth} | spec)),
    )


def secret(origin: str | None = URL, **data: str) -> dict[str, Any]:
    annotations = {} if origin is None else {"lcm.5gdrones.eu/origin": origin}
    members = {key: encoded(text) for key, text in (data or {"apikey": "sesame"}).items()}
    return {"metadata": {"name": "lock", "annotations": annotations}, "data": members}


@pytest.mark.parametrize(
    ("data", "user", "password"),
    [
        pytest.param({"apikey": "sesame"}, "apikey", "sesame", id="a key"),
        pytest.param({"user": "ali", "password": "sesame"}, "ali", "sesame", id="user and password"),
        pytest.param(
            {"apikey": "k", "user": "ali", "password": "p"}, "apikey", "k", id="the key comes first"
        ),
        pytest.param({"apikey": "sesame\n"}, "apikey", "sesame", id="a key from a file with an end of line"),
    ],
)
def test_a_secret_says_who_we_are(data: dict[str, str], user: str, password: str):
    assert connection_of(registry(), secret(**data)) == Connection(URL, user, password)


def test_what_else_a_secret_holds_is_not_looked_at():
    binary = secret()
    binary["data"]["keystore"] = base64.b64encode(b"\xff\xfe").decode()

    assert connection_of(registry(), binary) == Connection(URL, "apikey", "sesame")


def test_a_registry_without_auth_gets_no_secret():
    assert connection_of(registry(auth=None), secret()) == Connection(URL)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://registry.example/api", "https://registry.example"),
        ("https://registry.example:443", "https://registry.example"),
        ("http://registry.example", "http://registry.example:80/"),
        ("https://Registry.Example", "HTTPS://registry.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_secret_is_sent_where_it_was_meant_for(url: str, origin: str):
    assert connection_of(registry(url), secret(origin)).password == "sesame"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        pytest.param(URL, None, id="meant for nobody"),
        pytest.param(URL, "", id="an empty origin"),
        pytest.param(URL, "registry.example", id="an origin without scheme"),
        pytest.param("http://registry.example", URL, id="in the clear"),
        pytest.param("https://registry.example:8443", URL, id="another port"),
        pytest.param("https://registry.example.evil", URL, id="another host"),
        pytest.param("https://registry.example:99999", "nonsense", id="two that name no place"),
        pytest.param("http://[bad", "http://[bad", id="one that names no place, twice"),
    ],
)
def test_a_secret_is_sent_nowhere_else(url: str, origin: str | None):
    with pytest.raises(BadConnectionError, match="Secret lock is not meant for") as caught:
        connection_of(registry(url), secret(origin))

    assert "lcm.5gdrones.eu/origin" in str(caught.value)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        pytest.param(None, "Secret lock does not exist", id="no Secret"),
        pytest.param(
            secret(user="ali"),
            "Secret lock must contain the key apikey, or the keys user and password",
            id="half of it",
        ),
        pytest.param(
            secret(user="ali", password="ses\name"),
            "password of Secret lock contains a control character, such as a line end within it",
            id="two lines",
        ),
        pytest.param(
            secret(user="a:i", password="p"), "user of Secret lock must not contain a colon", id="colon"
        ),
        pytest.param(secret(apikey="\n"), "apikey of Secret lock is empty", id="a line end alone"),
        pytest.param(
            secret() | {"data": {"apikey": "/w=="}},
            "apikey of Secret lock is not text encoded in base64",
            id="no text",
        ),
    ],
)
def test_a_secret_that_does_not_fit_is_reported(found: dict[str, Any] | None, why: str):
    with pytest.raises(BadConnectionError, match=f"^{why}$"):
        connection_of(registry(), found)


def test_a_bundle_is_base64_that_may_be_broken_into_lines():
    text = encoded("-----BEGIN CERTIFICATE-----")
    found = connection_of(registry(auth=None, ca_bundle=f"{text[:8]}\n{text[8:]}\n"), None)

    assert found.authorities == "-----BEGIN CERTIFICATE-----"


def test_a_bundle_that_is_not_base64_is_reported():
    with pytest.raises(BadConnectionError, match=r"^caBundle is not text encoded in base64$"):
        connection_of(registry(auth=None, ca_bundle="-----BEGIN"), None)


def test_template_that_nests_too_deep_is_named():
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(BadConnectionError, match="nests deeper than 64 levels"):
        connection_of(registry(auth=None, trial_template={"engine": {"template": deep}}), None)
