"""Events about the operator itself are recorded on the election's Lease, one of a kind a minute."""

from tests.unit.controllers.clock import HandClock

from lcm_operator.controllers.own_events import OwnEvents
from lcm_operator.kube.leases import seen

LEASE = seen(
    {"metadata": {"namespace": "lcm-system", "name": "lcm-operator", "uid": "1", "resourceVersion": "7"}}
)


class People:
    """A recorder of Events; `lease`: the known Lease."""

    def __init__(self, lease=LEASE):
        self.clock = HandClock()
        self.recorded = []
        self.events = OwnEvents(self._tell, lambda: lease, self.clock)

    def _tell(self, kind, about, reason, message, *, warning):
        self.recorded.append((kind, about.namespace, about.uid, reason, message, warning))


def test_a_warning_is_recorded_on_the_lease():
    people = People()
    assert people.events.warn("ClockSkew", "an hour")
    assert people.recorded == [("Lease", "lcm-system", "1", "ClockSkew", "an hour", True)]


def test_one_of_a_kind_is_reported_a_minute():
    people = People()
    assert people.events.warn("ClockSkew", "one")
    assert people.events.warn("LeaseStolen", "two")
    assert not people.events.warn("ClockSkew", "three")
    people.clock.advance(61)
    assert people.events.warn("ClockSkew", "four")
    assert [said[4] for said in people.recorded] == ["one", "two", "four"]


def test_before_the_lease_is_known_nothing_can_be_reported():
    people = People(lease=None)
    assert not people.events.warn("ClockSkew", "one")
    assert people.recorded == []
