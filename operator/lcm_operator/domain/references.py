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
_PLACE = "spec.engine.template"


class Need(NamedTuple):
    """An object that must exist, with a key if one is named; `user` is the field that refers to it."""

    object: Reference
    key: str
    user: str


def needs_of(spec: TrialEngineSpec, default_template: Mapping[str, Any]) -> tuple[Need, ...]:
    """Return the objects that the pod of an engine needs, the first 100 of them, without optional ones.

    `default_template`: the operator's, which is named for what comes from it.
    """
    account = [Need(Reference(kind, names.ENGINE_SERVICE_ACCOUNT), "", "engines") for kind in _WORKLOAD]
    defaults = set(_template(default_template, "the operator's LCM_ENGINE_TEMPLATE"))
    of_defaults = {(need.object, need.key): need for need in defaults}
    own = (of_defaults.get((need.object, need.key), need) for need in _template(spec.engine.template, _PLACE))
    needs = chain(_parameters(spec), _files(spec), own)
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


def _template(template: Mapping[str, Any], where: str) -> Iterator[Need]:
    """Yield the needs of a template that `engine_template.template_faults` accepts.

    They are named, not numbered: a merged template has other indices than the one that a user wrote.
    """
    spec = template.get("spec") or {}
    for volume in _objects(spec.get("volumes")):
        place = f"volume {_text(volume, 'name')} of {where}"
        for field, kind, name in (("secret", SECRET, "secretName"), ("configMap", CONFIG_MAP, "name")):
            yield from _volume(volume.get(field), kind, name, place)
        for source in _objects(_object(volume.get("projected")).get("sources")):
            for field, kind in (("secret", SECRET), ("configMap", CONFIG_MAP)):
                yield from _volume(source.get(field), kind, "name", place)
    for container in _objects(spec.get("containers")):
        of = f"of container {_text(container, 'name')} of {where}"
        for entry in _objects(container.get("env")):
            for field, kind in (("secretKeyRef", SECRET), ("configMapKeyRef", CONFIG_MAP)):
                ref = _object(entry.get("valueFrom")).get(field)
                yield from _one(ref, kind, "name", f"env {_text(entry, 'name')} {of}", _text(ref, "key"))
        for entry in _objects(container.get("envFrom")):
            for field, kind in (("secretRef", SECRET), ("configMapRef", CONFIG_MAP)):
                yield from _one(entry.get(field), kind, "name", f"envFrom {of}")


def _volume(source: object, kind: str, name: str, where: str) -> Iterator[Need]:
    yield from _one(source, kind, name, where)
    for item in _objects(_object(source).get("items")):
        yield from _one(source, kind, name, where, _text(item, "key"))


def _one(ref: object, kind: str, field: str, where: str, key: str = "") -> Iterator[Need]:
    name = _text(ref, field)
    if name and isinstance(ref, dict) and ref.get("optional") is not True:
        yield Need(Reference(kind, name), key, where)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object, key: str) -> str:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
