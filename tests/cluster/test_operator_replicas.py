"""Two replicas of the operator on a real API server: one acts, and the other takes over whatever happens."""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pykube
import pytest
import requests
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_harness import OperatorHarness, Trial, in_seconds, nap
from tests.cluster.rest_harness import Registry, TrialRegistry

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import CONTROL_PLANE, LEASE_NAMESPACE, OPERATORS
from devcluster.cluster.guard import guarded
from devcluster.cluster.layout import LOOPBACK

MANY = 30
AHEAD = 60
LONGEST_LAG = timedelta(seconds=20)
LONGEST_DELAY = timedelta(seconds=5)
STOLEN = '{"spec": {"holderIdentity": "mallory", "leaseDurationSeconds": 315360000}}'


class ReplicaPair(OperatorHarness):
    """A harness with two replicas and no node: pods are created, and nothing else happens to them."""

    def lease(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.cluster.kubectl.get(
            "lease", "lcm-operator", f"--namespace={LEASE_NAMESPACE}"
        )["spec"]
        return spec

    def leads(self, name: str) -> bool:
        try:
            page = requests.get(f"http://{LOOPBACK}:{self.cluster.layout.ports[name]}/metrics", timeout=5)
        except requests.RequestException:
            return False
        return "lcm_leader 1.0" in page.text.splitlines()

    def leader(self) -> str:
        """Wait until exactly one replica leads, and return its name."""
        self.wait(lambda: sum(map(self.leads, OPERATORS)) == 1)
        return next(name for name in OPERATORS if self.leads(name))

    def standby(self) -> str:
        leader = self.leader()
        return next(name for name in OPERATORS if name != leader)

    def many(self, *, due_in: float) -> datetime:
        """Apply trials that are all due in one second, wait until they are armed, return when that is."""
        start = in_seconds(due_in)
        for number in range(MANY):
            self.trial(f"many-{number}", start=start)
        self.wait(lambda: len(self.engines()) == MANY)
        return datetime.fromisoformat(start)

    def each_was_started_once_in_time(self) -> None:
        self.each_was_started_once(MANY)
        lags = [trial.obj["status"]["startLagMilliseconds"] for trial in self.trials()]
        assert max(lags) <= LONGEST_LAG / timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def doubled(programs: Path) -> Iterator[Cluster]:
    """A control plane with two operators, as `make up REPLICAS=2` starts them, and no node."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="lcm-test-")))
    with guarded(cluster, remove=True):
        cluster.up(programs, (*CONTROL_PLANE, *OPERATORS))
        yield cluster


@pytest.fixture
def pair(doubled: Cluster, programs: Path) -> Iterator[ReplicaPair]:
    """A fresh namespace, with both replicas running; no engine is left afterwards."""
    doubled.up(programs, (*CONTROL_PLANE, *OPERATORS))
    with fresh_namespace(doubled) as name:
        pair = ReplicaPair(doubled, name)
        yield pair
        for trial in pair.trials():
            trial.delete()
        pair.wait(lambda: not pair.engines() and not pair.pods())


def test_one_of_two_replicas_acts_and_the_lease_says_which(pair: ReplicaPair):
    leader = pair.leader()
    pair.many(due_in=6)
    pair.each_was_started_once_in_time()
    assert pair.leads(leader)
    assert pair.lease()["holderIdentity"]
    assert pair.lease()["leaseDurationSeconds"] == 10


def killed(pair: ReplicaPair, leader: str) -> None:
    pair.cluster.stop(leader, signal.SIGKILL)


def stopped(pair: ReplicaPair, leader: str) -> None:
    pair.cluster.stop(leader)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(killed, id="killed"),
        pytest.param(stopped, id="asked to stop"),
    ],
)
@pytest.mark.parametrize(
    "pods_there",
    [
        pytest.param(0, id="just before the start"),
        pytest.param(1, id="when the first pod is there"),
        pytest.param(MANY, id="when all pods are there"),
    ],
)
def test_standby_starts_what_an_ending_leader_left_and_nothing_twice(
    pair: ReplicaPair, end: Callable[[ReplicaPair, str], None], pods_there: int
):
    leader, standby = pair.leader(), pair.standby()
    pair.many(due_in=7)
    pair.wait(lambda: len(pair.pods_created()) >= pods_there)
    end(pair, leader)
    pair.each_was_started_once_in_time()
    assert pair.leads(standby)


def test_leader_that_was_frozen_at_a_start_does_nothing_when_it_continues(pair: ReplicaPair):
    leader, standby = pair.leader(), pair.standby()
    pair.many(due_in=7)
    pair.wait(pair.pods_created)
    pair.cluster.layout.process(leader).send(signal.SIGSTOP)
    pair.wait(lambda: pair.leads(standby))
    pair.cluster.layout.process(leader).send(signal.SIGCONT)
    pair.each_was_started_once_in_time()
    pair.wait(lambda: requests.get(address(pair, leader, "readyz"), timeout=5).ok)
    assert pair.leads(standby)
    assert not pair.leads(leader)
    assert "Traceback" not in pair.cluster.layout.process(leader).log_file.read_text()


def test_replica_that_is_asked_to_stop_hands_the_lease_over_at_once(pair: ReplicaPair):
    leader, standby = pair.leader(), pair.standby()
    before = pair.lease()["leaseTransitions"]
    asked = datetime.now(UTC)
    pair.cluster.stop(leader)
    pair.wait(lambda: pair.leads(standby))
    after = pair.lease()
    assert after["leaseTransitions"] == before + 1
    waited = datetime.fromisoformat(after["acquireTime"]) - asked
    assert waited < timedelta(seconds=after["leaseDurationSeconds"]) / 2


def test_the_last_one_to_stop_leaves_a_lease_that_nobody_holds(pair: ReplicaPair):
    pair.cluster.stop(pair.standby())
    pair.cluster.stop(pair.leader())
    assert "holderIdentity" not in pair.lease()


def test_a_standby_writes_nothing(pair: ReplicaPair):
    pair.many(due_in=6)
    pair.each_was_started_once_in_time()
    creates = [
        event["responseStatus"]["code"]
        for event in pair.cluster.audit()
        if event["verb"] == "create"
        and event["objectRef"].get("namespace") == pair.namespace
        and event["objectRef"]["resource"] in {"pods", "trialengines"}
    ]
    assert set(creates) == {201}


def address(pair: ReplicaPair, name: str, path: str) -> str:
    return f"http://{LOOPBACK}:{pair.cluster.layout.ports[name]}/{path}"


def until_start(pair: ReplicaPair, trial: Trial, at: str) -> None:
    wanted = datetime.fromisoformat(at)
    pair.until(trial, lambda s: "startTime" in s and datetime.fromisoformat(s["startTime"]) == wanted)


def test_a_replica_that_leads_again_starts_nothing_by_what_it_knew_before(pair: ReplicaPair):
    registry = Registry()
    begun, later = in_seconds(AHEAD), in_seconds(7200)
    registry.trials = [{"id": "survey", "start_time": begun}]
    trial_registry = pair.create(TrialRegistry, "default", {"url": registry.url, "intervalSeconds": 3600})
    spec = {"registryRef": {"name": "default"}, "activities": [nap()]}
    trial = pair.create(Trial, "survey", spec)
    until_start(pair, trial, begun)
    first, second = pair.leader(), pair.standby()

    pair.cluster.layout.process(first).send(signal.SIGSTOP)
    pair.wait(lambda: pair.leads(second))
    pair.cluster.layout.process(first).send(signal.SIGCONT)
    registry.trials = [{"id": "survey", "start_time": later}]
    pair.annotate(trial_registry, sync="moved")
    until_start(pair, trial, later)
    pair.wait(lambda: requests.get(address(pair, first, "readyz"), timeout=5).ok)
    registry.answer["/trial/"] = (503, b"away")

    due = datetime.fromisoformat(begun)
    pair.wait(lambda: datetime.now(UTC) >= due + timedelta(seconds=0.5))
    seen = registry.asked.count("/trial/")
    pair.cluster.stop(second, signal.SIGKILL)
    pair.wait(lambda: pair.leads(first))
    pair.wait(lambda: registry.asked.count("/trial/") > seen)
    time.sleep(3)  # whatever it would do by its old knowledge it does at once

    trial.reload()
    assert "startedTime" not in trial.obj["status"]
    assert datetime.fromisoformat(trial.obj["status"]["startTime"]) == datetime.fromisoformat(later)
    assert len(trial.obj["status"]["registryMoves"]) == 1
    assert not pair.pods_created()
    registry.close()


# --- the election's Lease in the hands of somebody who wants no election


@pytest.mark.parametrize(
    ("namespace", "refused"), [("default", 404), (LEASE_NAMESPACE, 403)], ids=["their own", "the election's"]
)
def test_no_engine_can_write_the_lease_of_the_election_in(pair: ReplicaPair, namespace: str, refused: int):
    pair.leader()
    token = pair.cluster.kubectl.token("default", "lcm-engine")
    answer = requests.patch(
        f"{pair.cluster.server}/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/lcm-operator",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"},
        data=STOLEN,
        verify=str(pair.cluster.ca_file),
        timeout=10,
    )
    assert answer.status_code == refused


def steal(pair: ReplicaPair) -> None:
    patch = (
        "patch",
        "lease",
        "lcm-operator",
        f"--namespace={LEASE_NAMESPACE}",
        "--type=merge",
        "--patch",
        STOLEN,
    )
    pair.cluster.kubectl(*patch, check=False)


def test_a_lease_that_is_stolen_each_second_for_ten_years_delays_no_start(pair: ReplicaPair):
    leader = pair.leader()
    pair.many(due_in=8)
    for _ in range(12):
        steal(pair)
        assert pair.leads(leader)
        time.sleep(1)
    pair.each_was_started_once_in_time()
    lags = [trial.obj["status"]["startLagMilliseconds"] for trial in pair.trials()]
    assert max(lags) <= LONGEST_DELAY / timedelta(milliseconds=1)
    events = pykube.Event.objects(pair.api, namespace=LEASE_NAMESPACE)
    assert [event for event in events if event.obj["reason"] == "LeaseStolen"]


def test_a_lease_in_a_strangers_name_is_taken_when_its_holder_dies(pair: ReplicaPair):
    leader, standby = pair.leader(), pair.standby()
    killed(pair, leader)
    ends = time.monotonic() + 30
    while not pair.leads(standby):
        steal(pair)
        assert time.monotonic() < ends
        time.sleep(1)
    pair.many(due_in=3)
    pair.each_was_started_once_in_time()
