"""What the API server itself refuses in a TrialRegistry, and what it fills in."""

import base64

import pytest
from tests.cluster.crd_api import NOW, Api, pause, registry


@pytest.fixture(scope="module")
def api(cluster):
    return Api(cluster)


def test_defaults_are_filled_in(api):
    spec = api.admit(registry())["spec"]

    assert spec.pop("trialTemplate") == {
        "startingDeadlineSeconds": 120,
        "suspend": False,
    }
    assert spec == {
        "url": "http://registry.example:5001",
        "intervalSeconds": 60,
        "suspend": False,
        "import": "None",
        "onVanished": "Keep",
        "importLimit": 1000,
    }


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:5001", id="an address and a port"),
        pytest.param("https://registry.example/api/v1/", id="a path"),
        pytest.param("http://[::1]:5001", id="an address of IPv6"),
    ],
)
def test_a_url_may_be(api, url):
    assert api.admit(registry(url=url))["spec"]["url"] == url


REFUSED = {
    "no URL": (registry(url=None), "spec.url: Required"),
    "an empty URL": (registry(url=""), "spec.url"),
    "a URL without a scheme": (registry(url="registry.example"), "spec.url"),
    "a URL of another scheme": (registry(url="ftp://registry.example"), "spec.url"),
    "a URL with a password": (registry(url="http://me:secret@registry.example"), "spec.url"),
    "a URL with a query": (registry(url="http://registry.example/?a=b"), "spec.url"),
    "a URL with a fragment": (registry(url="http://registry.example/#a"), "spec.url"),
    "a URL with a blank": (registry(url="http://registry.example/a b"), "spec.url"),
    "a URL whose port is a word": (
        registry(url="http://registry.example:port/"),
        "spec.url: Invalid value",
    ),
    "no time between two pulls": (registry(intervalSeconds=0), "spec.intervalSeconds"),
    "an import that there is not": (registry(**{"import": "Some"}), "spec.import"),
    "a way with the vanished that there is not": (registry(onVanished="Delete"), "spec.onVanished"),
    "a start time in the template": (
        registry(trialTemplate={"startTime": NOW}),
        'unknown field "spec.trialTemplate.startTime"',
    ),
    "a trial ID in the template": (
        registry(trialTemplate={"trialID": "a"}),
        'unknown field "spec.trialTemplate.trialID"',
    ),
    "two plans in the template": (
        registry(trialTemplate={"planRef": {"name": "a"}, "activities": [pause("a")]}),
        "spec.trialTemplate.planRef: Invalid value: at most one of planRef and activities may be set",
    ),
    "auth without a Secret": (registry(auth={}), "spec.auth.secretRef: Required"),
    "a certificate that is not base64": (
        registry(caBundle="-----BEGIN CERTIFICATE-----"),
        "caBundle must be base64, such as `base64 < ca.crt` prints it",
    ),
}


@pytest.mark.parametrize(("bad", "saying"), REFUSED.values(), ids=REFUSED.keys())
def test_the_api_server_refuses_a_registry_with(api, bad, saying):
    assert saying in api.refusal(bad)


def test_a_registry_with_every_field_is_kept_as_it_is(api, cluster, namespace):
    given = registry(
        url="https://registry.example",
        intervalSeconds=5,
        suspend=True,
        onVanished="Suspend",
        auth={"secretRef": {"name": "registry"}},
        caBundle=base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode(),
        **{"import": "All"},
    )
    status = {
        "observedGeneration": 1,
        "lastAttemptTime": NOW,
        "lastSyncTime": NOW,
        "trials": 10000,
        "ignored": ["ü" * 253] * 1000,
        "conditions": [],
    }

    spec = api.admit(given, namespace, dry_run=False)["spec"]

    assert {key: spec[key] for key in given["spec"]} == given["spec"]
    assert api.patch_status("TrialRegistry", namespace, "example", status)["status"] == status
    table = cluster.kubectl("-n", namespace, "get", "lcmregistry").stdout.splitlines()
    assert table[0].split() == ["NAME", "URL", "IMPORT", "SUSPEND", "SYNCED", "AGE"]
