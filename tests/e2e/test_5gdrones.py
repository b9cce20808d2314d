"""The plan of the 5G!Drones Lifecycle Manager from the chart, with the dummies of its partners as pods."""

import json
from typing import Any

import pytest
import requests
from tests.e2e.release import TRIALS, Release, until

from devcluster.cluster.layout import REPOSITORY

SEED = REPOSITORY / "examples" / "registry.json"
FAULT = {"kind": "status", "path": "/flightplan", "count": 1}
PORTS = {"registry": 5001, "partners": 5003}


def dummy(name: str) -> list[dict[str, Any]]:
    """Return the pod and the Service of a dummy, seeded by the ConfigMap `seed`."""
    variables = {
        f"LCM_{name.upper()}_ADDRESS": f"0.0.0.0:{PORTS[name]}",
        f"LCM_{name.upper()}_SEED": "/seed/registry.json",
    }
    container = {
        "name": name,
        "image": "lcm-dummies:e2e",
        "imagePullPolicy": "Never",
        "command": ["python", "-m", f"dummies.{name}"],
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "readinessProbe": {"tcpSocket": {"port": PORTS[name]}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "seed", "mountPath": "/seed"}],
    }
    labels = {"name": name, "labels": {"dummy": name}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": labels,
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [container],
                "volumes": [{"name": "seed", "configMap": {"name": "seed"}}],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": labels,
            "spec": {"selector": {"dummy": name}, "ports": [{"port": PORTS[name]}]},
        },
    ]


@pytest.fixture(scope="module")
def urls(release: Release) -> dict[str, str]:
    """The dummies are up, and the plan knows where; the addresses of all services."""
    in_trials = f"--namespace={TRIALS}"
    release.kubectl("create", "configmap", "seed", in_trials, f"--from-file={SEED}")
    manifest = {"apiVersion": "v1", "kind": "List", "items": [*dummy("registry"), *dummy("partners")]}
    release.kubectl("apply", in_trials, "--filename=-", stdin=json.dumps(manifest))
    release.kubectl("wait", "pod", "--selector=dummy", in_trials, "--for=condition=Ready", "--timeout=60s")
    services = {name: release.get("service", name)["spec"]["clusterIP"] for name in PORTS}
    urls = {name: f"http://{address}:{PORTS[name]}" for name, address in services.items()}
    urls["rest"] = release.service()
    # By addresses, as there is no DNS here.
    parameters = {
        "registryUrl": urls["registry"],
        "enforcementUrl": urls["partners"],
        "kpiUrl": urls["partners"],
        "lcmUrl": urls["rest"],
    }
    release.upgrade(
        plans={"demo": {"enabled": True}, "5gdrones": {"enabled": True, "parameters": parameters}}
    )
    return urls


def waits_for(release: Release, trial: str, signal: str) -> bool:
    """Whether the trial waits for a signal now."""
    engine = release.get("trialengine", trial)
    running = {
        found["name"]
        for found in engine.get("status", {}).get("activities", [])
        if found["state"] == "Running"
    }
    waits = engine.get("spec", {}).get("activities", [])
    return any(found["name"] in running and found.get("wait", {}).get("signal") == signal for found in waits)


def test_a_flight_fails_once_is_restored_and_lands(release: Release, urls):
    requests.put(f"{urls['partners']}/_faults", json=FAULT, timeout=10).raise_for_status()
    flight = release.trial("first-flight", 5, planRef={"name": "5gdrones"}, parameters={"vnf": "true"})
    release.until_phase(flight, "Failed")

    release.annotate(flight, restore="again")
    for signal in ("active", "finish"):
        until(lambda signal=signal: waits_for(release, flight, signal), release.state)
        headers = {"Authorization": release.key()}
        requests.post(
            f"{urls['rest']}/trial/{flight}/{signal}", headers=headers, timeout=10
        ).raise_for_status()
    release.until_phase(flight, "Succeeded")

    journal = requests.get(f"{urls['partners']}/_journal", timeout=10).json()
    done = [entry["headers"]["Idempotency-Key"] for entry in journal if 200 <= entry["status"] < 300]
    assert len(done) > 5
    assert len(set(done)) == len(done)
