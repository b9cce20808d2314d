"""What the CRD tests ask of the API server: does it admit a manifest, and if not, what does it say.

Manifests are sent as dry runs unless a test is about what is stored. Builders set only what a case is about.
"""

import functools
import json
from pathlib import Path
from typing import Any

from kubernetes import client, config

from lcm_operator.cli.schema import PLURALS as PLURALS_OF_PLANS
from lcm_operator.cli.schema import Fault, faults

GROUP, VERSION = "lcm.5gdrones.eu", "v1alpha1"
PLURALS = {
    "Trial": "trials",
    "TrialEngine": "trialengines",
    "TrialPlan": "trialplans",
    "TrialRegistry": "trialregistries",
}
START = "2026-11-24T10:00:00+02:00"
NOW = "2026-11-24T08:00:00.123456Z"


@functools.cache
def administrator(kubeconfig: Path) -> client.ApiClient:
    """Return a client for all tests on a cluster: kubectl takes longer for a request than many a test."""
    return config.new_client_from_config(str(kubeconfig))


class Api:
    """The API server, asked as kubectl asks it: unknown fields are refused."""

    def __init__(self, cluster) -> None:
        self._objects = client.CustomObjectsApi(administrator(cluster.kubeconfig))

    def admit(self, manifest: dict[str, Any], namespace: str = "default", *, dry_run: bool = True) -> dict:
        """Create the manifest and return what the API server made of it; raises ApiException.

        `lcm plan check` must find nothing either in what is taken.
        """
        made = self._objects.create_namespaced_custom_object(
            *_where(manifest["kind"], namespace),
            manifest,
            field_validation="Strict",
            **({"dry_run": "All"} if dry_run else {}),
        )
        assert faults_of(manifest) == []
        return made

    def refusal(self, manifest: dict[str, Any]) -> str:
        """Return what the API server says against the manifest; fails if it has nothing to say.

        `lcm plan check` must find something too.
        """
        said = _said(self.admit, manifest)
        assert manifest["kind"] not in PLURALS_OF_PLANS or faults_of(manifest)
        return said

    def get(self, kind: str, namespace: str, name: str) -> dict:
        """Return an object."""
        return self._objects.get_namespaced_custom_object(*_where(kind, namespace), name)

    def patch(self, kind: str, namespace: str, name: str, patch: Any) -> dict:
        """Change an object by a JSON merge patch."""
        return self._objects.patch_namespaced_custom_object(*_where(kind, namespace), name, patch)

    def patch_status(self, kind: str, namespace: str, name: str, status: dict) -> dict:
        """Change the status by a JSON merge patch."""
        return self.patch_status_raw(kind, namespace, name, {"status": status})

    def patch_status_raw(self, kind: str, namespace: str, name: str, patch: dict) -> dict:
        """Send a JSON merge patch of the whole object to the status subresource."""
        return self._objects.patch_namespaced_custom_object_status(*_where(kind, namespace), name, patch)

    def edit_status(self, kind: str, namespace: str, name: str, operations: list[dict]) -> dict:
        """Send a JSON patch to the status subresource."""
        return self._objects.patch_namespaced_custom_object_status(
            *_where(kind, namespace), name, operations, _content_type="application/json-patch+json"
        )

    def patch_refusal(self, kind: str, namespace: str, name: str, patch: Any) -> str:
        """Return what the API server says against a change."""
        return _said(self.patch, kind, namespace, name, patch)

    def status_refusal(self, kind: str, namespace: str, name: str, status: dict) -> str:
        """Return what the API server says against a status."""
        return _said(self.patch_status, kind, namespace, name, status)

    def names(self, kind: str, namespace: str, field_selector: str) -> list[str]:
        """Return the names of the objects that a field selector finds."""
        found = self._objects.list_namespaced_custom_object(
            *_where(kind, namespace), field_selector=field_selector
        )
        return sorted(item["metadata"]["name"] for item in found["items"])

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object."""
        self._objects.delete_namespaced_custom_object(*_where(kind, namespace), name)


def faults_of(manifest: dict[str, Any]) -> list[Fault]:
    """Return what `lcm plan check` finds by the schema, in the kinds that it knows."""
    kind = manifest["kind"]
    return list(faults(kind, manifest)) if kind in PLURALS_OF_PLANS else []


def _where(kind: str, namespace: str) -> tuple[str, str, str, str]:
    return GROUP, VERSION, namespace, PLURALS[kind]


def _said(call: Any, *arguments: Any) -> str:
    try:
        call(*arguments)
    except client.ApiException as error:
        said = json.loads(error.body)
        assert said["code"] in {400, 422}, said
        return said["message"]
    raise AssertionError(f"the API server took it: {json.dumps(arguments)[:2000]}")


def manifest(kind: str, spec: Any, name: str = "example", **metadata: Any) -> dict[str, Any]:
    """Return a manifest of one of the four kinds."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


def trial(name: str = "example", /, **spec: Any) -> dict[str, Any]:
    """Return a Trial with a start time; None takes a field away."""
    given = {"startTime": START} | spec
    return manifest("Trial", {key: value for key, value in given.items() if value is not None}, name)


def plan(*activities: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return a TrialPlan."""
    return manifest("TrialPlan", {"activities": list(activities)} | spec)


def engine(name: str = "example", /, **spec: Any) -> dict[str, Any]:
    """Return a TrialEngine; None takes a field away."""
    given = {
        "trialID": "example",
        "trialUID": "11111111-2222-3333-4444-555555555555",
        "trialGeneration": 1,
        "startTime": NOW,
        "activities": [pause("first")],
    } | spec
    return manifest("TrialEngine", {key: value for key, value in given.items() if value is not None}, name)


def registry(**spec: Any) -> dict[str, Any]:
    """Return a TrialRegistry."""
    given = {"url": "http://registry.example:5001"} | spec
    return manifest("TrialRegistry", {key: value for key, value in given.items() if value is not None})


def pause(name: str, **more: Any) -> dict[str, Any]:
    """Return an activity that does next to nothing."""
    return {"name": name, "sleep": {"seconds": 1}} | more


def request(**http: Any) -> dict[str, Any]:
    """Return an activity with one HTTP request."""
    return {"name": "ask", "http": {"url": "http://service.example/x"} | http}


def wait(**more):
    return {"name": "hold", "wait": {"signal": "slice"} | more}


def run(**more):
    return {"name": "run", "exec": {"command": ["true"]} | more}
