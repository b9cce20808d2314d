"""Harness of the operator tests: a user with pykube-ng, and the audit log, which shows who did what.

`OperatorHarness` applies Trials, waits for their outcome and annotates them. It calls nothing of the operator
directly: the operator runs as the process that `make up` starts.
"""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pykube
from pykube.objects import NamespacedAPIObject, Pod

from devcluster.cluster.cluster import Cluster
from devcluster.waiting import wait_until

DEADLINE = 60
GROUP = "lcm.5gdrones.eu"
OPERATOR_USER = "system:serviceaccount:default:lcm-operator"


class Trial(NamespacedAPIObject):
    version = f"{GROUP}/v1alpha1"
    endpoint = "trials"
    kind = "Trial"


class TrialEngine(NamespacedAPIObject):
    version = f"{GROUP}/v1alpha1"
    endpoint = "trialengines"
    kind = "TrialEngine"


class Lease(NamespacedAPIObject):
    version = "coordination.k8s.io/v1"
    endpoint = "leases"
    kind = "Lease"


class TrialPlan(NamespacedAPIObject):
    version = f"{GROUP}/v1alpha1"
    endpoint = "trialplans"
    kind = "TrialPlan"


def in_seconds(seconds: float) -> str:
    """Return a start time so far from now, cut to whole seconds as people write it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def nap(name: str = "nap", seconds: float = 0.01) -> dict[str, Any]:
    return {"name": name, "sleep": {"seconds": seconds}}


def condition(thing: NamespacedAPIObject, kind: str) -> tuple[str, str]:
    """Return status and reason of a condition; empty if it isn't there."""
    for found in thing.obj.get("status", {}).get("conditions", []):
        if found["type"] == kind:
            return found["status"], found["reason"]
    return "", ""


class OperatorHarness:
    """One namespace of a cluster with an operator."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(cluster.kubeconfig)))

    def create(self, kind: type[NamespacedAPIObject], name: str, spec: dict[str, Any]) -> Any:
        manifest = {
            "apiVersion": kind.version,
            "kind": kind.kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        thing = kind(self.api, manifest)
        thing.create()
        return thing

    def trial(
        self, name: str, *, start: str, activities: list[dict[str, Any]] | None = None, **spec
    ) -> Trial:
        plan = {"activities": activities or [nap()]} if "planRef" not in spec else {}
        return self.create(Trial, name, {"startTime": start} | plan | spec)

    def pods(self) -> list[Pod]:
        return list(Pod.objects(self.api, namespace=self.namespace))

    def engine(self, name: str) -> TrialEngine:
        return TrialEngine.objects(self.api, namespace=self.namespace).get_by_name(name)

    def engines(self) -> list[TrialEngine]:
        return list(TrialEngine.objects(self.api, namespace=self.namespace))

    def trials(self) -> list[Trial]:
        return list(Trial.objects(self.api, namespace=self.namespace))

    def events(self, reason: str) -> list[str]:
        found = pykube.Event.objects(self.api, namespace=self.namespace)
        return [event.obj["message"] for event in found if event.obj["reason"] == reason]

    def annotate(self, thing: NamespacedAPIObject, **annotations: str) -> None:
        named = {f"{GROUP}/{key.replace('_', '-')}": value for key, value in annotations.items()}
        thing.patch({"metadata": {"annotations": named}})

    def until(self, thing: NamespacedAPIObject, said: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the status of an object says something, and return it."""

        def holds() -> bool:
            thing.reload()
            return bool(said(thing.obj.get("status", {})))

        assert wait_until(holds, seconds=DEADLINE), thing.obj
        status: dict[str, Any] = thing.obj["status"]
        return status

    def until_condition(
        self, thing: NamespacedAPIObject, kind: str, status: str, reason: str
    ) -> dict[str, Any]:
        """Wait until an object has a condition, and return the status."""
        return self.until(thing, lambda _: condition(thing, kind) == (status, reason))

    def wait(self, holds: Callable[[], object]) -> None:
        assert wait_until(lambda: bool(holds()), seconds=DEADLINE)

    def pods_created(self) -> Counter[str]:
        """Return how often a pod of each name was created by the operator, by the audit log."""
        return Counter(
            event["objectRef"]["name"]
            for event in self.cluster.audit()
            if event["verb"] == "create"
            and event["objectRef"].get("resource") == "pods"
            and event["objectRef"].get("namespace") == self.namespace
            and not event["objectRef"].get("subresource")
            and event["user"]["username"] == OPERATOR_USER
            and event["responseStatus"]["code"] == 201
            and "dryRun" not in event["requestURI"]
        )

    def pods_deleted(self) -> int:
        """Return how many pods anybody asked to delete, by the audit log."""
        return sum(
            event["objectRef"].get("resource") == "pods"
            for event in self.cluster.audit()
            if event["verb"] == "delete" and event["objectRef"].get("namespace") == self.namespace
        )

    def started(self) -> int:
        return sum("podRef" in engine.obj.get("status", {}) for engine in self.engines())

    def each_was_started_once(self, count: int) -> None:
        """Wait until `count` engines, and no others, have started; each had exactly one pod.

        Only for clusters without a node, where pods stay as they are. The audit log is less reliable than the
        pods: it records 504 for a create whose sender was killed, whether or not the pod exists.
        """
        self.wait(lambda: self.started() == count)
        assert max(self.pods_created().values()) == 1
        assert self.pods_deleted() == 0
        granted = {engine.obj["status"]["podRef"]["uid"] for engine in self.engines()}
        assert {pod.obj["metadata"]["uid"] for pod in self.pods()} == granted
        assert len(granted) == count
