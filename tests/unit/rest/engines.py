"""Engines in the API server, and the signals that wait on them."""

from datetime import UTC, datetime

import pytest
from tests.unit.rest.harness import run
from tests.unit.rest.kube import TIME, Kube

from lcm_operator.rest.cache.records import trial_of
from lcm_operator.rest.cache.view import View
from lcm_operator.rest.http.replies import HttpRefusalError
from lcm_operator.rest.services.signals import Signals

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
UNKNOWN = (400, "Engine with requested ID does not exist")
NOT_READY = (400, "Executor not ready for state change.")
PLAN = [
    {"name": "ask", "stateName": "SliceDeployment", "http": {"url": "http://partner"}},
    {"name": "asked", "wait": {"signal": "slice"}},
    {"name": "nap", "sleep": {"seconds": 1}},
]


REPORT = [{"name": "report", "sleep": {"seconds": 1}}]
RELEASE = [{"name": "release", "stateName": "CloseService", "sleep": {"seconds": 1}}]
LIVES, FAILED, FINISHED = "Unknown", "False", "True"


class Harness:
    """An API server, and any number of sidecars that have seen nothing of it."""

    def __init__(self):
        self.kube = Kube()
        self.view = View()
        self.signals = self.sidecar()

    def sidecar(self):
        return Signals(self.kube, self.view, "lab", lambda: NOW)

    def engine(self, trial_id="a", *, name="a", succeeded=LIVES, attempt=1, plan=PLAN, **status):
        condition = {"type": "Succeeded", "status": succeeded, "reason": "Any", "message": ""}
        return self.kube.put(
            "trialengines",
            name,
            metadata={"uid": f"uid-{name}", "namespace": "lab"},
            spec={
                "trialID": trial_id,
                "trialUID": "uid-trial",
                "trialGeneration": 1,
                "startTime": TIME,
                "activities": plan,
                "onFailure": REPORT,
                "finally": RELEASE,
            },
            status={"attempt": attempt, "conditions": [condition | {"lastTransitionTime": TIME}]} | status,
        )

    def latch(self):
        """Show the sidecar a Trial whose engine was just started."""
        trial = {
            "metadata": {"name": "a", "uid": "uid-trial", "resourceVersion": "1"},
            "spec": {"trialID": "a", "startTime": TIME},
            "status": {"startedTime": TIME, "engineRef": {"name": "a", "uid": "uid-a"}},
        }
        self.view.put_trial(trial_of(trial))

    @property
    def stored(self):
        return self.kube.objects["trialengines", "a"]["status"].get("signals", [])

    def refusal(self, kind, *arguments):
        with pytest.raises(HttpRefusalError) as raised:
            run(getattr(self.signals, kind)("a", *arguments))
        return raised.value.status, raised.value.detail


def signals(names, prefix="s"):
    return [{"id": f"{prefix}-{n}", "name": name, "receivedTime": TIME} for n, name in enumerate(names)]


def consumed(stored):
    return [{"id": signal["id"], "activity": "asked"} for signal in stored]
