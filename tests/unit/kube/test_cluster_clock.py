"""The time that counts, whatever is done to the clock of the node."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tests.unit.controllers.clock import HandClock

from lcm_operator.kube.cluster_clock import ClusterClock

HOUR = 3600.0


class Node:
    """A node and an API server, whose clocks go on together; only the node's is set by somebody."""

    def __init__(self, *, ahead: float = 0.0) -> None:
        self.clock = HandClock(datetime(2026, 11, 24, 10, 0, 0, 300_000, tzinfo=UTC))
        self.server = self.clock.now()
        self.clock.step(ahead)
        self.cluster = ClusterClock(self.clock)

    def passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.server += timedelta(seconds=seconds)

    def asks(self, *, takes: float = 0.004) -> None:
        """Make a request: Date is of its middle, cut to the second."""
        sent = self.clock.elapsed()
        self.passes(takes / 2)
        date = format_datetime(self.server, usegmt=True)
        self.passes(takes / 2)
        self.cluster.heard(date, sent, self.clock.elapsed())

    def asks_for_a_while(self) -> None:
        """Renew a Lease every 2 s, for 40 s."""
        for number in range(20):
            self.asks()
            self.passes(2.0 + 0.037 * number % 0.1)

    def error(self) -> float:
        """Return by how many seconds the time that counts is ahead of the API server's."""
        return (self.cluster.now() - self.server).total_seconds()


def test_without_an_answer_the_nodes_clock_counts():
    node = Node(ahead=HOUR)
    assert node.cluster.offset() is None
    assert node.cluster.now() == node.clock.now()


def test_a_clock_that_agrees_is_used_as_it_is():
    node = Node()
    node.asks_for_a_while()
    assert node.cluster.now() == node.clock.now()
    assert node.cluster.look().trusts_node


@pytest.mark.parametrize("step", [HOUR, -HOUR, 60.0, -60.0, 4.0, -4.0, 86_400.0 * 365])
def test_a_step_of_the_nodes_clock_changes_nothing(step):
    node = Node()
    node.asks_for_a_while()
    node.clock.step(step)
    for _ in range(30):
        assert -0.2 <= node.error() <= 0.0
        node.passes(0.7)
        node.asks()
    assert not node.cluster.look().trusts_node


def test_a_step_that_is_set_right_again_is_forgotten():
    node = Node()
    node.asks_for_a_while()
    node.clock.step(HOUR)
    node.asks()
    assert node.cluster.now() != node.clock.now()
    node.clock.step(-HOUR)
    node.asks()
    assert node.cluster.now() == node.clock.now()


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_one_answer_is_enough_for_a_clock_that_was_wrong_from_the_start(ahead):
    node = Node(ahead=ahead)
    node.asks()
    assert -1.1 <= node.error() <= 0.0
    node.asks_for_a_while()
    assert -0.2 <= node.error() <= 0.0


@pytest.mark.parametrize("ahead", [1.9, 1.0, 0.3])
def test_a_clock_that_is_a_little_ahead_starts_next_to_nothing_early(ahead):
    node = Node(ahead=ahead)
    node.asks_for_a_while()
    assert node.error() <= 0.2
    assert node.cluster.look().trusts_node


def test_a_clock_that_is_a_little_behind_is_used_as_it_is():
    node = Node(ahead=-1.5)
    node.asks_for_a_while()
    assert node.cluster.now() == node.clock.now()


def test_many_answers_say_more_than_one():
    node = Node()
    node.asks()
    one = node.cluster.offset()
    node.asks_for_a_while()
    many = node.cluster.offset()
    assert one is not None
    assert many is not None
    assert many.most - many.least < 0.3 < one.most - one.least
    assert many.least <= 0 <= many.most


@pytest.mark.parametrize("server", [HOUR, -HOUR])
def test_the_api_servers_clock_is_followed_where_that_is_set(server):
    node = Node()
    node.asks_for_a_while()
    node.server += timedelta(seconds=server)
    node.asks()
    assert -1.1 <= node.error() <= 0.0


def test_an_answer_that_took_long_is_passed_over():
    node = Node(ahead=HOUR)
    node.asks(takes=1.5)
    assert node.cluster.offset() is None


@pytest.mark.parametrize(
    "date",
    [None, "", "now", "Tue, 24 Nov 2026 10:00:00", "Tue, 99 Nov 2026 10:00:00 GMT", "9" * 100_000, "\0"],
)
def test_a_date_that_is_none_is_passed_over(date):
    node = Node()
    node.cluster.heard(date, 1000.0, 1000.1)
    assert node.cluster.offset() is None


def test_the_bounds_widen_while_nothing_is_received():
    node = Node()
    node.asks_for_a_while()
    before = node.cluster.offset()
    node.passes(HOUR)
    after = node.cluster.offset()
    assert before is not None
    assert after is not None
    assert after.most - after.least > before.most - before.least + 3


def test_a_step_is_reported_once_and_by_how_much():
    node = Node()
    node.asks_for_a_while()
    node.cluster.look()
    node.clock.step(-HOUR)
    node.passes(0.5)
    seen = node.cluster.look()
    assert seen.stepped == pytest.approx(-HOUR)
    assert abs(seen.jumped) < 1
    assert node.cluster.look().stepped == 0


def test_a_jump_of_the_time_that_counts_is_reported():
    node = Node(ahead=HOUR)
    node.cluster.look()
    node.asks()
    assert node.cluster.look().jumped == pytest.approx(-HOUR, abs=1.5)
    assert node.cluster.look().jumped == 0
