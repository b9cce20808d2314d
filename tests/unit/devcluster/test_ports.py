"""The ports of a cluster: settled once, free, and where callers expect them."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.cluster.ports import PORT_NAMES, check_free, settle
from devcluster.failure import LocalClusterError


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        yield somebody.getsockname()[1]


@pytest.fixture
def free(taken: int) -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = int(nobody.getsockname()[1])
    assert port != taken
    return port


def test_every_listener_gets_a_port_of_its_own() -> None:
    ports = settle({}, {})

    assert set(ports) == set(PORT_NAMES)
    assert len(set(ports.values())) == len(PORT_NAMES)


def test_clusters_that_start_together_draw_different_ports(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    candidates = list(range(20000, 20500))
    monkeypatch.setattr("random.sample", lambda *_: candidates)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    first, second = settle({}, {}), settle({}, {})

    assert not set(first.values()) & set(second.values())


def test_a_port_that_is_wanted_is_taken_and_none_of_the_others_gets_it(free: int) -> None:
    ports = settle({}, {"rest": free, "registry": 0})

    assert ports["rest"] == free
    assert list(ports.values()).count(free) == 1


def test_what_is_settled_stays_and_what_is_missing_is_drawn() -> None:
    older = {name: port for name, port in settle({}, {}).items() if name not in {"rest", "registry"}}

    ports = settle(older, {"rest": 0})

    assert older.items() <= ports.items()
    assert set(ports) == set(PORT_NAMES)
    assert settle(ports, {"rest": 0}) == ports


def test_what_is_settled_may_be_in_use(taken: int) -> None:
    assert settle({"rest": taken}, {"rest": taken})["rest"] == taken


def test_a_settled_port_can_not_be_moved() -> None:
    with pytest.raises(
        LocalClusterError, match=r"registry already listens on port 5001; .* make up REGISTRY_PORT=5002"
    ):
        settle({"registry": 5001}, {"registry": 5002})


def test_a_port_of_somebody_else_is_an_error_that_says_how_to_move(taken: int) -> None:
    with pytest.raises(LocalClusterError, match=rf"port {taken} .* needed by rest, .* make up REST_PORT="):
        check_free("rest", taken)
