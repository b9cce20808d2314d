"""docs/reference/rights.md lists exactly the rights of every account."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.release import NAME, NAMESPACE, TRIALS, Release
from tests.e2e.rights import documented, shown

REST = f"{NAME}-rest"
ENGINE = "lcm-engine"
INSTALLATIONS: dict[str, dict[str, Any]] = {
    "in one pod": {},
    "apart": {"rest": {"standalone": True, "replicas": 1}},
    "for all namespaces": {"rest": {"standalone": True, "replicas": 1}, "clusterWide": True},
}
OPERATOR_RIGHTS, REST_RIGHTS = documented("Operator"), documented("REST interface")
EVERYWHERE = {right for right in REST_RIGHTS if right[0].startswith("tokenreviews.")}
OF_CLUSTERS = {
    right for right in OPERATOR_RIGHTS if right[0].startswith(("namespaces", "customresourcedefinitions."))
}


@pytest.fixture(scope="module", autouse=True)
def as_before(release: Release) -> Iterator[None]:
    yield
    release.upgrade()


@pytest.fixture(scope="module", params=INSTALLATIONS)
def installation(release: Release, request: pytest.FixtureRequest) -> str:
    """How the chart is installed now."""
    release.upgrade(**INSTALLATIONS[request.param])
    return request.param


def test_the_rest_interface_answers(release: Release, installation):
    done = release.helm("test", NAME, "--timeout=2m", check=False)

    assert done.returncode == 0, done.stderr + release.logs("rest")
    containers = {len(pod["spec"]["containers"]) for pod in release.operators()}
    assert containers == {2 if installation == "in one pod" else 1}


def test_the_operator(release: Release, installation):
    def seen(namespace):
        return shown(release, NAME, NAMESPACE, namespace)

    namespaced = OPERATOR_RIGHTS - OF_CLUSTERS
    if installation == "in one pod":
        assert seen(TRIALS) == namespaced | REST_RIGHTS
        assert seen(NAMESPACE) == namespaced | EVERYWHERE
        assert seen("default") == EVERYWHERE
    elif installation == "apart":
        assert seen(TRIALS) == seen(NAMESPACE) == namespaced
        assert seen("default") == set()
    else:
        assert seen(TRIALS) == seen(NAMESPACE) == seen("default") == OPERATOR_RIGHTS


def test_the_rest_interface(release: Release, installation):
    has = installation != "in one pod"

    assert shown(release, REST, NAMESPACE, TRIALS) == (REST_RIGHTS if has else set())
    assert shown(release, REST, NAMESPACE, NAMESPACE) == (EVERYWHERE if has else set())


@pytest.mark.usefixtures("installation")
def test_an_engine(release: Release):
    assert shown(release, ENGINE, TRIALS, TRIALS) == documented("Engine")
    assert shown(release, ENGINE, TRIALS, NAMESPACE) == set()
