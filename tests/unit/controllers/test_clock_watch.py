"""Steps and disagreement of the clocks are reported, and handled afterwards."""

import pytest
from tests.unit.kube.test_cluster_clock import HOUR, Node

from lcm_operator.controllers.clock_watch import ClockWatch


class Watched(Node):
    """A node whose clocks are watched; `listens`: whether Events can be recorded."""

    def __init__(self, **how) -> None:
        super().__init__(**how)
        self.events: list[tuple[str, str]] = []
        self.listens = True
        self.jumps = 0
        self.watch = ClockWatch(self.cluster, self._warn, self._jumped, "operator-1")

    def _warn(self, reason: str, message: str) -> bool:
        if self.listens:
            self.events.append((reason, message))
        return self.listens

    async def _jumped(self) -> None:
        raise AssertionError("nothing runs here")

    def looks(self) -> list[str]:
        """Look for a while; return the reasons of the Events."""
        for _ in range(4):
            self.passes(0.5)
            self.asks()
            self.jumps += self.watch.look()
        return [reason for reason, _ in self.events]


def test_of_clocks_that_agree_nothing_is_reported():
    node = Watched()
    assert node.looks() == []
    assert node.watch.disagreement() == ""
    assert node.watch.steps == 0


@pytest.mark.parametrize(("step", "way"), [(HOUR, "ahead of"), (-HOUR, "behind")])
def test_a_step_is_reported_once_and_that_the_clock_is_off(step, way):
    node = Watched()
    node.looks()
    node.clock.step(step)
    assert node.looks() == ["ClockStepped", "ClockSkew"]
    assert node.looks() == ["ClockStepped", "ClockSkew"]
    assert node.watch.steps == 1
    assert f"{way} the API server's" in node.watch.disagreement()
    assert node.watch.offset_seconds() == pytest.approx(step, abs=1.1)
    assert node.jumps == 0


def test_a_clock_wrong_from_the_start_is_reported_once_somebody_listens():
    node = Watched(ahead=HOUR)
    node.listens = False
    assert node.looks() == []
    node.listens = True
    assert node.looks() == ["ClockSkew"]


def test_a_clock_that_is_set_right_is_not_complained_about_any_more():
    node = Watched()
    node.looks()
    node.clock.step(HOUR)
    node.looks()
    node.clock.step(-HOUR)
    assert node.looks()[-1] == "ClockStepped"
    assert node.watch.disagreement() == ""


def test_everything_is_decided_anew_when_the_time_that_counts_jumps():
    node = Watched(ahead=HOUR)
    node.watch.look()
    assert node.looks() == ["ClockSkew"]
    assert node.jumps == 1
