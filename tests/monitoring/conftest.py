"""Prometheus itself."""

from pathlib import Path

import pytest
from tests.cluster.conftest import programs  # noqa: F401 - a fixture
from tools.monitoring.programs import prometheus as find_prometheus


@pytest.fixture(scope="session")
def prometheus() -> Path:
    """The folder with prometheus and promtool."""
    found = find_prometheus(print)
    if found is None:
        pytest.skip("neither prometheus and promtool on the PATH, nor apt-get")
    return found
