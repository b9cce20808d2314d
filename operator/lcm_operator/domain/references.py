"""The objects that a trial's engine refers to: which they are, and which of them are missing. Pure.

Each object is read once for all trials that need it (`controllers.references`); of a Secret only the names of
its keys are kept, never a value. An object that could not be read counts as present.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any, NamedTuple

from lcm_operator.api import names, reasons
from lcm_operator.api.engine import TrialEngineSpec
from lcm_operator.domain.snapshot import Keys, Observation, Problem, Reference

SECRET, CONFIG_MAP = "Secret", "ConfigMap"
SERVICE_ACCOUNT, ROLE_BINDING = "ServiceAccount", "RoleBinding"
TRIAL_REGISTRY = "TrialRegistry"
_NOT_FOUND = {
    SECRET: reasons.SECRET_NOT_FOUND,
    CONFIG_MAP: reasons.CONFIG_MAP_NOT_FOUND,
    SERVICE_ACCOUNT: reasons.SERVICE_ACCOUNT_NOT_FOUND,
    ROLE_BINDING: reasons.ROLE_BINDING_NOT_FOUND,
    TRIAL_REGISTRY: reasons.REGISTRY_NOT_FOUND,
}
_WORKLOAD = (SERVICE_ACCOUNT, ROLE_BINDING)
_MOST_NEEDS = 100


class Need(NamedTuple):
    """An object that must exist, with a key if one is named; `user` is the field that refers to it."""

    object: Reference
    key: str
    user: str


def needs_of(spec: TrialEngineSpec) -> tuple[Need, ...]:
    """Return the objects that the pod of an engine needs, the first 100 of them, without optional ones."""
    account = [Need(Reference(kind, names.ENGINE_SERVICE_ACCOUNT), "", "engines") for kind in _WORKLOAD]
    needs = chain(_parameters(spec), _files(spec), _template(spec.engine.template))
    return (*account, *islice(needs, _MOST_NEEDS))


def registry_need(name: str) -> Need:
    """Return the TrialRegistry that a Trial refers to as a need."""
    return Need(Reference(TRIAL_REGISTRY, name), "", "spec.registryRef.name")


def missing_object(
    needs: tuple[Need, ...], known: Mapping[Reference, Observation[Keys | None]], namespace: str
) -> Problem | None:
    """Return the problem of the objects that are missing or lack a key; None if none is known to."""
    found = [(need, why) for need in needs if (why := _fault(need, known, namespace))]
    if not found:
        return None
    return Problem(_NOT_FOUND[found[0][0].object.kind], "; ".join(dict.fromkeys(why for _, why in found)))


def _fault(need: Need, known: Mapping[Reference, Observation[Keys | None]], namespace: str) -> str:
    (kind, name), seen = need.object, known.get(need.object)
    if seen is None or (seen.value is not None and (not need.key or need.key in seen.value)):
        return ""
    if kind in _WORKLOAD:
        how = f"kubectl -n {namespace} apply -f deploy/rbac/engine.yaml"
        return f"{kind} {name} does not exist in namespace {namespace}; create it: {how}"
    if kind == TRIAL_REGISTRY:
        return f"{need.user}: {kind} {name} does not exist; create it, or correct the name"
    if seen.value is None:
        with_key = f" with the key {need.key}" if need.key else ""
        return f"{need.user}: {kind} {name} does not exist in namespace {namespace}; create it{with_key}"
    return f"{need.user}: {kind} {name} has no key {need.key}; add it, or correct the key"


def _parameters(spec: TrialEngineSpec) -> Iterator[Need]:
    for parameter in spec.parameters:
        if (ref := parameter.secret_key_ref) is not None:
            yield Need(Reference(SECRET, ref.name), ref.key, f"parameter {parameter.name}")


def _files(spec: TrialEngineSpec) -> Iterator[Need]:
    for activity in spec.all_activities:
        for file in activity.exec.files if activity.exec is not None else ():
            if (ref := file.config_map_key_ref) is not None:
                user = f"file {file.name} of activity {activity.name}"
                yield Need(Reference(CONFIG_MAP, ref.name), ref.key, user)


def _template(template: dict[str, Any]) -> Iterator[Need]:
    """Yield the needs of a template that `manifests.refused_template_fields` accepts."""
    spec, where = template.get("spec") or {}, "spec.engine.template.spec"
    for index, volume in enumerate(_objects(spec.get("volumes"))):
        for field, kind, name in (("secret", SECRET, "secretName"), ("configMap", CONFIG_MAP, "name")):
            yield from _volume(volume.get(field), kind, name, f"{where}.volumes[{index}].{field}")
    for index, container in enumerate(_objects(spec.get("containers"))):
        path = f"{where}.containers[{index}]"
        for number, entry in enumerate(_objects(container.get("env"))):
            source = entry.get("valueFrom")
            for field, kind in (("secretKeyRef", SECRET), ("configMapKeyRef", CONFIG_MAP)):
                ref = source.get(field) if isinstance(source, dict) else None
                yield from _one(
                    ref, kind, "name", f"{path}.env[{number}].valueFrom.{field}", _text(ref, "key")
                )


def _volume(source: object, kind: str, name: str, where: str) -> Iterator[Need]:
    yield from _one(source, kind, name, where)
    for item in _objects(source.get("items")) if isinstance(source, dict) else ():
        yield from _one(source, kind, name, where, _text(item, "key"))


def _one(ref: object, kind: str, field: str, where: str, key: str = "") -> Iterator[Need]:
    name = _text(ref, field)
    if name and isinstance(ref, dict) and ref.get("optional") is not True:
        yield Need(Reference(kind, name), key, where)


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object, key: str) -> str:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
