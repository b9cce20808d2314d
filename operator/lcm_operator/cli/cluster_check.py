"""What only a cluster knows of manifests: a dry run by its API server, and the objects that they refer to."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import requests

from lcm_operator.api.similar import did_you_mean
from lcm_operator.cli import schema
from lcm_operator.cli.checks import Plans, misfits
from lcm_operator.cli.cluster import Cluster
from lcm_operator.cli.manifests import Manifest
from lcm_operator.plan.faults import Fault, Place

_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_DRY_RUN = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "lcm-plan-check", "force": "true"}
_KEYS = re.compile(r"[^.\[\]]+")
_OK, _NOT_FOUND = 200, 404
_FIELDS = {
    "secretKeyRef": ("Secret", "name"),
    "secretRef": ("Secret", "name"),
    "secret": ("Secret", "secretName"),
    "configMapKeyRef": ("ConfigMap", "name"),
    "configMapRef": ("ConfigMap", "name"),
    "configMap": ("ConfigMap", "name"),
}
_PLURALS = {"Secret": "secrets", "ConfigMap": "configmaps"}


class Reference(msgspec.Struct, frozen=True):
    """A Secret or ConfigMap that a manifest needs, with one of its keys or ''."""

    place: Place
    kind: str
    name: str
    key: str

    def __str__(self) -> str:
        """Return kind and name."""
        return f"{self.kind} {self.name}"

    def is_to(self, manifest: Any) -> bool:
        """Return whether a manifest is the object."""
        match manifest:
            case {"kind": self.kind, "metadata": {"name": self.name}}:
                return True
        return False


class ClusterCheck:
    """Asks a cluster about manifests, with the rights of the user of a kubeconfig."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def check(
        self, manifest: Manifest, plans: Plans, others: list[Manifest]
    ) -> tuple[list[Fault], list[Fault]]:
        """Return what the cluster refuses or lacks, and what its user may not see. Raises ClusterError.

        `plans` and `others` are in the files, and need not be in the cluster.
        """
        namespace = manifest.namespace or self._cluster.namespace
        faults, warnings = [*self._dry_run(manifest, namespace)], []
        for place, spec in manifest.trial_specs():
            match spec:
                case {"planRef": {"name": str(name)}} if name not in plans:
                    faults += self._plan(name, namespace, spec.get("parameters") or {}, place)
        for wanted in _references(manifest.value, ()):
            keys = next((keys_of(other.value) for other in others if wanted.is_to(other.value)), None)
            if keys is None:
                answer = self._cluster.reply(
                    "get", f"{_PLURALS[wanted.kind]}/{wanted.name}", version="v1", namespace=namespace
                )
                if answer.status_code == _NOT_FOUND:
                    faults.append(Fault(wanted.place, f"{wanted} does not exist in namespace {namespace}"))
                    continue
                if answer.status_code != _OK:
                    warnings.append(Fault(wanted.place, f"{wanted} was not checked: {_message(answer)}"))
                    continue
                keys = keys_of(answer.json())
            if wanted.key and wanted.key not in keys:
                hint = did_you_mean(wanted.key, keys)
                faults.append(Fault(wanted.place, f"{wanted} has no key {wanted.key}{hint}"))
        return faults, warnings

    def _dry_run(self, manifest: Manifest, namespace: str) -> Iterator[Fault]:
        if manifest.name is None:  # a generated name; the schema has been checked
            return
        answer = self._cluster.reply(
            "patch",
            f"{schema.PLURALS[str(manifest.kind)]}/{manifest.name}",
            namespace=namespace,
            data=json.dumps(manifest.value),
            headers=_APPLY,
            params=dict(_DRY_RUN),
        )
        if answer.ok:
            return
        status = _status(answer)
        if answer.status_code == _NOT_FOUND and not (status.get("details") or {}).get("name"):
            yield Fault(
                ("kind",), f"the cluster has no kind {manifest.kind}; install the CRDs of LCM Operator"
            )
            return
        causes = (status.get("details") or {}).get("causes") or []
        for cause in causes:
            yield Fault(_place(cause.get("field") or ""), f"refused by the cluster: {cause.get('message')}")
        if not causes:
            yield Fault((), f"refused by the cluster: {_message(answer)}")

    def _plan(self, name: str, namespace: str, given: dict[str, Any], place: Place) -> Iterator[Fault]:
        answer = self._cluster.reply("get", f"trialplans/{name}", namespace=namespace)
        if answer.status_code == _NOT_FOUND:
            yield Fault(
                (*place, "planRef", "name"), f"TrialPlan {name} does not exist in namespace {namespace}"
            )
        elif answer.status_code != _OK:
            yield Fault((*place, "planRef", "name"), f"TrialPlan {name} can't be read: {_message(answer)}")
        else:
            yield from (
                Fault((*place, *fault.place), fault.message) for fault in misfits(answer.json(), name, given)
            )


def keys_of(value: Any) -> frozenset[str]:
    """Return the keys of a Secret or ConfigMap."""
    fields = ("data", "stringData", "binaryData")
    return frozenset(key for field in fields for key in (value.get(field) or {}))


def _references(value: Any, place: Place) -> Iterator[Reference]:
    match value:
        case dict():
            for field, below in value.items():
                here = (*place, field)
                if field in _FIELDS and isinstance(below, dict):
                    kind, key_of_name = _FIELDS[field]
                    name = below.get(key_of_name)
                    if isinstance(name, str) and below.get("optional") is not True:
                        yield Reference(here, kind, name, str(below.get("key") or ""))
                else:
                    yield from () if field in ("json", "metadata") else _references(below, here)
        case list():
            for index, item in enumerate(value):
                yield from _references(item, (*place, index))


def _status(answer: requests.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {"message": answer.text[:200]}
    return found if isinstance(found, dict) else {}


def _message(answer: requests.Response) -> str:
    return str(_status(answer).get("message") or answer.status_code)


def _place(field: str) -> Place:
    """Return the place that an API server names: `spec.activities[0].name`."""
    return tuple(int(key) if key.isdigit() else key for key in _KEYS.findall(field))
