"""Harness of the registry tests: a namespace whose TrialRegistry asks a registry that the test plays."""

from datetime import datetime
from typing import Any

from tests.cluster.operator_harness import OperatorHarness, Trial, condition, nap
from tests.cluster.rest_harness import Registry, TrialRegistry

FAR = "2031-07-01T08:00:00Z"
LATER = "2031-07-02T08:00:00Z"


class RegistryHarness:
    """A namespace with a registry that the test is, asked every second."""

    def __init__(self, harness: OperatorHarness, registry: Registry) -> None:
        self.harness, self.registry = harness, registry

    def serve(self, **spec: Any) -> TrialRegistry:
        wanted = {"url": self.registry.url, "intervalSeconds": 1, "trialTemplate": {"activities": [nap()]}}
        return self.harness.create(TrialRegistry, "default", wanted | spec)

    def trial(self, name: str, **spec: Any) -> Trial:
        wanted = {"registryRef": {"name": "default"}, "activities": [nap()]}
        return self.harness.create(Trial, name, wanted | spec)

    def serve_times(self, **times: str) -> None:
        self.registry.trials = [{"id": name, "start_time": time} for name, time in times.items()]

    def until_start(self, trial: Trial, time: str) -> None:
        at = datetime.fromisoformat(time)
        self.harness.until(trial, lambda s: "startTime" in s and datetime.fromisoformat(s["startTime"]) == at)

    def until_synced(self, registry: TrialRegistry, reason: str) -> None:
        self.harness.until(registry, lambda _: condition(registry, "Synced")[1] == reason)

    def until_asked_again(self) -> None:
        """Wait for two more pulls: the second began after all that is in the API server now."""
        seen = self.registry.asked.count("/trial/")
        self.harness.wait(lambda: self.registry.asked.count("/trial/") >= seen + 2)

    def names(self) -> set[str]:
        return {trial.name for trial in self.harness.trials()}

    def imported(self, name: str) -> bool:
        """Return whether there is a Trial of that name that an import has made."""
        found = Trial.objects(self.harness.api, namespace=self.harness.namespace).get_or_none(name=name)
        return found is not None and found.annotations.get("lcm.5gdrones.eu/imported-by") == "default"

    def start_times(self) -> dict[str, str]:
        """Return the resolved start times by the names of the Trials."""
        trials = self.harness.trials()
        return {trial.name: trial.obj.get("status", {}).get("startTime", "") for trial in trials}
