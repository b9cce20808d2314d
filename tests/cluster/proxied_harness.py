"""Harness of the race and crash tests: an operator behind the proxy, and nobody else; no node, no engine.

The operator is the real process as its ServiceAccount; the test starts and kills it. Pods stay Pending, so
the test plays their engines: it writes checkpoints and ends pods, in no time.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pykube
import yaml
from pykube.objects import NamespacedAPIObject, Pod
from tests.cluster.operator_harness import DEADLINE, Lease, OperatorHarness, TrialEngine, condition
from tests.cluster.proxy import Proxy, Request

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import COMPONENTS, LEASE_NAMESPACE, OPERATOR
from devcluster.waiting import wait_until

ENDED = ("Succeeded", "Failed")


def latches(request: Request) -> bool:
    """Whether a write is the latch of a Trial."""
    return request.resource == "trials" and "startedTime" in request.new_status


def grants(request: Request) -> bool:
    """Whether a write grants a pod."""
    return request.resource == "trialengines" and bool(request.new_status.get("podRef"))


def creates_pod(request: Request) -> bool:
    """Whether a write creates the pod of an attempt."""
    return request.method == "POST" and request.resource == "pods"


def begins_attempt(request: Request) -> bool:
    """Whether a write is the one with which a restore begins the next attempt."""
    return request.resource == "trialengines" and (request.new_status.get("attempt") or 0) > 1


class ProxiedOperator:
    """An operator whose requests all go through `proxy`, verified by `authority` if that has TLS."""

    def __init__(
        self,
        cluster: Cluster,
        proxy: Proxy,
        authority: Path | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.cluster = cluster
        self.proxy = proxy
        self._trust = {} if authority is None else {"certificate-authority": str(authority)}
        self._environment = environment
        self.process = cluster.layout.process(OPERATOR)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        layout, component = self.cluster.layout, COMPONENTS[OPERATOR]
        file = self.cluster.service_account_kubeconfig("default", "lcm-operator")
        document = yaml.safe_load(file.read_text())
        for entry in document["clusters"]:
            entry["cluster"] = {"server": self.proxy.url} | self._trust
        file.write_text(yaml.safe_dump(document))
        environment = {**component.environment(layout), "LCM_KUBECONFIG": str(file), **self._environment}
        self.process.start(component.command(layout), environment)

        def settled() -> bool:
            return not self.process.alive() or component.ready(layout, self.cluster.kubectl)

        assert wait_until(settled, seconds=DEADLINE), self.process.log_tail()
        assert self.process.alive(), self.process.log_tail()

    def kill(self) -> None:
        """End it by SIGKILL, and its leadership, so that nobody has to wait for the Lease to run out."""
        self.cluster.stop(OPERATOR, signal.SIGKILL)
        self.cluster.kubectl(
            "delete", "lease", "lcm-operator", f"--namespace={LEASE_NAMESPACE}", "--ignore-not-found"
        )


class ProxiedHarness(OperatorHarness):
    """One namespace, and an operator behind the proxy."""

    def __init__(self, operator: ProxiedOperator, namespace: str) -> None:
        super().__init__(operator.cluster, namespace)
        self.operator = operator
        self.proxy = operator.proxy
        self._renewals: dict[str, float] = {}

    def writes_about(self, trial: str) -> list[Request]:
        """Return the operator's writes about one trial of this namespace: Trial, TrialEngine, pods, Lease."""
        return [write for write in self.proxy.writes if self.is_about(trial)(write)]

    def is_about(self, trial: str) -> Callable[[Request | NamespacedAPIObject], bool]:
        return lambda request: (
            request.namespace == self.namespace
            and (request.name == trial or request.name.startswith(f"{trial}-"))
        )

    def taken_creates(self, trial: str) -> Counter[str]:
        """Return how often a pod of each name was created, by the API server's answers."""
        return Counter(
            write.name for write in self.writes_about(trial) if creates_pod(write) and write.status == 201
        )

    def granted(self, trial: str) -> dict[int, set[str]]:
        """Return the UIDs of the pods that each attempt was granted to."""
        found: dict[int, set[str]] = {}
        for write in self.writes_about(trial):
            if grants(write) and write.status == 200:
                pod = write.new_status["podRef"]
                found.setdefault(int(pod["name"].rpartition("-")[2]), set()).add(pod["uid"])
        return found

    def pod(self, name: str) -> Pod | None:
        return Pod.objects(self.api, namespace=self.namespace).get_or_none(name=name)

    def checkpoint(self, engine: TrialEngine, **states: str) -> None:
        """Save a checkpoint as the engine does: guarded by the resourceVersion that it was read at."""
        now = datetime.now(UTC).isoformat()
        known = {entry["name"]: entry for entry in engine.obj["status"].get("activities", [])}
        for name, state in states.items():
            run = known.get(name, {}).get("run", 1)
            known[name] = {
                "name": name,
                "state": state,
                "run": run,
                "startTime": now,
                "completionTime": now,
            }
        sequence = engine.obj["status"].get("checkpoint", {}).get("sequence", 0) + 1
        self.patch_status(
            engine,
            {
                "activities": list(known.values()),
                "checkpoint": {"version": 1, "sequence": sequence, "savedTime": now},
            },
        )

    def patch_status(self, thing: NamespacedAPIObject, status: dict[str, Any]) -> None:
        guard = {"resourceVersion": thing.obj["metadata"]["resourceVersion"]}
        thing.patch({"metadata": guard, "status": status}, subresource="status")

    def end_pod(self, name: str, phase: str) -> None:
        pod = self.pod(name)
        if pod is not None and pod.obj["status"]["phase"] not in ENDED:
            self.patch_status(pod, {"phase": phase})

    def run_pod(self, name: str) -> None:
        """Write that a pod runs, as its node would."""
        pod = self.pod(name)
        if pod is None or pod.obj["status"]["phase"] != "Pending":
            return
        try:
            pod.patch({"status": {"phase": "Running"}}, subresource="status")
        except pykube.exceptions.HTTPError as error:
            if error.code != 404:
                raise

    def renew(self, pod: str) -> None:
        """Renew a pod's Lease each second, as its engine does; it may be deleted at any time."""
        if time.monotonic() < self._renewals.get(pod, 0):
            return
        self._renewals[pod] = time.monotonic() + 1
        lease = Lease.objects(self.api, namespace=self.namespace).get_or_none(name=pod)
        if lease is None:
            return
        try:
            lease.patch({"spec": {"renewTime": datetime.now(UTC).isoformat(timespec="microseconds")}})
        except pykube.exceptions.HTTPError as error:
            if error.code != 404:
                raise

    def get(self, kind: type[NamespacedAPIObject], name: str) -> Any:
        return kind.objects(self.api, namespace=self.namespace).get_by_name(name)

    def play(self, script: Callable[[TrialEngine], dict[str, str] | None]) -> None:
        """Let each granted engine do what its script says and end; with None it continues and renews."""
        phases = {pod.obj["metadata"]["uid"]: pod.obj["status"]["phase"] for pod in self.pods()}
        for engine in self.engines():
            reference = engine.obj.get("status", {}).get("podRef") or {}
            phase = phases.get(reference.get("uid"))
            if phase is None or phase in ENDED:
                continue
            if phase == "Pending":
                self.run_pod(reference["name"])
            states = script(engine)
            if states is None:
                self.renew(reference["name"])
                continue
            try:
                self.checkpoint(engine, **states)
            except pykube.exceptions.HTTPError as error:
                if error.code != 409:
                    raise
                continue  # the operator wrote meanwhile: the next look plays it
            self.end_pod(reference["name"], "Failed" if "Failed" in states.values() else "Succeeded")


def conditions(thing: NamespacedAPIObject) -> dict[str, tuple[str, str]]:
    """Return every condition's status and reason."""
    kinds = [found["type"] for found in thing.obj.get("status", {}).get("conditions", [])]
    return {kind: condition(thing, kind) for kind in kinds}
