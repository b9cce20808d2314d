"""The real node for the session, with the chart installed as its docs say."""

import os
from pathlib import Path

import pytest
from tests.e2e.real_node import RealNode
from tests.e2e.release import Release


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "LCM_E2E_SCRATCH" not in os.environ:
        pytest.exit("these tests need the node of `make e2e`", returncode=4)
    for item in items:
        item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def node() -> RealNode:
    node = RealNode(Path(os.environ["LCM_E2E_SCRATCH"]))
    node.start()
    return node


@pytest.fixture(scope="session")
def release(node: RealNode) -> Release:
    release = Release(node)
    release.prepare()
    release.install()
    return release
