"""Which fields of a user's pod template may go into an engine's pod: an allow list. Pure.

The CRD leaves the template open, so that a refusal can name the field and nothing is dropped in silence.
"""

from typing import Any

from lcm_operator.api import names
from lcm_operator.api.bounds import unread_because

_TEMPLATE = frozenset({"metadata", "spec"})
_METADATA = frozenset({"labels", "annotations"})
_SPEC = frozenset({"containers", "volumes", "imagePullSecrets", "nodeSelector", "affinity", "tolerations"})
_CONTAINER = frozenset(
    {
        "name", "image", "command", "args", "env", "resources", "securityContext", "volumeMounts",
        "livenessProbe", "readinessProbe", "startupProbe",
    }
)  # fmt: skip
_VOLUME = frozenset({"name", "emptyDir", "configMap", "secret"})
_FOREIGN = ("args", "command", "image")
_LISTS = frozenset(
    {"containers", "volumes", "imagePullSecrets", "tolerations", "env", "volumeMounts", "args"}
)


def refused_template_fields(template: dict[str, Any]) -> list[str]:
    """Return a sentence for each field of `engine.template` that an engine's pod can't have."""
    where = "spec.engine.template"
    if why := unread_because(template):
        return [f"{where}: {why}"]
    faults = _check(template, _TEMPLATE, where)
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    faults += _check(metadata, _METADATA, f"{where}.metadata")
    if isinstance(metadata, dict):
        faults += _labels(metadata.get("labels") or {}, f"{where}.metadata.labels")
    faults += _check(spec, _SPEC, f"{where}.spec")
    if faults:
        return faults
    for index, volume in enumerate(spec.get("volumes") or []):
        faults += _check(volume, _VOLUME, f"{where}.spec.volumes[{index}]")
    for index, container in enumerate(spec.get("containers") or []):
        path = f"{where}.spec.containers[{index}]"
        faults += _check(container, _CONTAINER, path)
        if isinstance(container, dict) and container.get("name") == names.ENGINE_CONTAINER:
            faults += [
                f"{path}.{field}: engines of other images are not supported yet"
                for field in _FOREIGN
                if container.get(field) is not None
            ]
    return faults


def _check(given: object, allowed: frozenset[str], where: str) -> list[str]:
    """Return what is wrong with an object: not one, fields that are not allowed, lists that are none."""
    if not isinstance(given, dict):
        return [f"{where}: must be an object"]
    faults = [
        f"{where}.{field}: not allowed; allowed are {', '.join(sorted(allowed))}"
        for field in sorted(given.keys() - allowed)
    ]
    for field in sorted(given.keys() & allowed):
        wanted = list if field in _LISTS else dict
        plain = field in ("name", "image", "command")
        if given[field] is not None and not plain and not isinstance(given[field], wanted):
            faults.append(f"{where}.{field}: must be {'a list' if wanted is list else 'an object'}")
    return faults


def _labels(labels: object, where: str) -> list[str]:
    if not isinstance(labels, dict):
        return []
    return [
        f"{where}: {label} is the operator's" for label in labels if label.partition("/")[0] == names.GROUP
    ]
