"""Validates a manifest by the CRDs' schemas without an API server.

jsonschema implements most keywords. Those that Kubernetes adds or interprets differently are here; the CEL
rules are in `plan.rules`.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft4Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from lcm_operator.api.similar import did_you_mean
from lcm_operator.plan.faults import Fault
from lcm_operator.plan.rules import RULES

PLURALS = {"Trial": "trials", "TrialPlan": "trialplans", "TrialRegistry": "trialregistries"}
_WORDS = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "pattern": "must match {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "maxProperties": "must have at most {} fields",
    "maximum": "must be at most {}",
    "multipleOf": "must be a multiple of {}",
}
_OBJECT_NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_LABEL_VALUE = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
_LABEL_NAME = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_FORMS = {
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "consist of lower-case letters, digits and -, such as fly-2",
    "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$": "consist of lower-case letters, digits, - and ., such as fly-2",
    _OBJECT_NAME: "consist of lower-case letters, digits, - and ., such as fly-2",
    "^[-._a-zA-Z0-9]+$": "consist of letters, digits, -, _ and .",
    "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$": "consist of letters, digits, -, _ and ., with a letter"
    " or digit at both ends",
    "^[A-Za-z0-9_][-A-Za-z0-9_.]*$": "consist of letters, digits, -, _ and ., such as measure.py",
    "^[^\\x00-\\x1f\\x7f-\\x9f]+$": "not contain control characters",
    "^https?://[^/?#@\\s]+(/[^?#\\s]*)?$": "begin with http:// or https:// and a host, without user, query"
    " and fragment",
    _LABEL_VALUE: "consist of letters, digits, -, _ and ., as the value of a label",
}
_TEXT, _INTEGER, _LIST = {"type": "string"}, {"type": "integer"}, {"type": "array"}
_METADATA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 253, "pattern": _OBJECT_NAME},
        "namespace": {"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "string", "maxLength": 63, "pattern": _LABEL_VALUE},
        },
        "annotations": {"type": "object", "additionalProperties": _TEXT},
        "generateName": _TEXT,
        "uid": _TEXT,
        "resourceVersion": _TEXT,
        "selfLink": _TEXT,
        "creationTimestamp": _TEXT,
        "deletionTimestamp": _TEXT,
        "generation": _INTEGER,
        "deletionGracePeriodSeconds": _INTEGER,
        "finalizers": _LIST,
        "ownerReferences": _LIST,
        "managedFields": _LIST,
    },
}
"""What the API server's own types, and not the CRDs, say."""
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|sec|m|min|h|d)")
_UNITS = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BOUNDS = {"minimum", "maximum", "multipleOf"}
Errors = Iterator[ValidationError]


def faults(kind: str, manifest: Any) -> Iterator[Fault]:
    """Yield the validation errors of a manifest."""
    value = as_stored(kind, manifest)
    for error in _validator(kind).iter_errors(value):
        yield Fault(tuple(error.absolute_path), _message(error))
    match value:
        case {"metadata": {**metadata}}:
            if not metadata.get("name") and not metadata.get("generateName"):
                yield Fault(("metadata", "name"), "is required")
            labels = metadata.get("labels")
            for key in labels if isinstance(labels, dict) else ():
                if not _LABEL_NAME.fullmatch(key):
                    yield Fault(("metadata", "labels", key), "is not the name of a label, such as team")
        case {**fields} if "metadata" not in fields:
            yield Fault(("metadata",), "is required, with a name")


def as_stored(kind: str, manifest: Any) -> Any:
    """Return a manifest as the API server has it when it validates: without nulls where none are allowed."""
    return _without_nulls(manifest, _validator(kind).schema)


def _without_nulls(value: Any, schema: Any) -> Any:
    """Return a value as the API server has it before it validates: a null counts as a field that is not set.

    Not where null is allowed, nor for the items of lists.
    """
    match value:
        case dict():
            known, other = schema.get("properties", {}), schema.get("additionalProperties")
            fields = {name: known.get(name, other if isinstance(other, dict) else None) for name in value}
            return {
                name: item if fields[name] is None else _without_nulls(item, fields[name])
                for name, item in value.items()
                if item is not None or fields[name] is None or fields[name].get("nullable")
            }
        case list():
            items = schema.get("items")
            return [_without_nulls(item, items) for item in value] if items else value
        case _:
            return value


def _message(error: ValidationError) -> str:
    keyword, value = str(error.validator), error.validator_value
    if isinstance(error.schema, dict) and "not" in error.schema and keyword not in _BOUNDS:
        return f"must be a number, or text with an expression {{{{ }}}}{_in_seconds(error)}"
    if keyword == "minimum":
        above = isinstance(error.schema, dict) and error.schema.get("exclusiveMinimum")
        return f"must be greater than {value}" if above else f"must be at least {value}"
    if keyword == "pattern" and value in _FORMS:
        return f"must {_FORMS[value]}, got {error.instance!r:.80}"
    shown = ", ".join(map(str, value)) if isinstance(value, list) else value
    message = _WORDS.get(keyword, error.message).format(shown)
    if keyword == "type" and value == "string" and isinstance(error.instance, bool | int | float):
        return f'{message}: put it in quotes, such as "{str(error.instance).lower()}"'
    return message


def _in_seconds(error: ValidationError) -> str:
    """Return a hint for a duration such as "5m"."""
    field = str(error.absolute_path[-1]) if error.absolute_path else ""
    found = _DURATION.fullmatch(error.instance) if isinstance(error.instance, str) else None
    if found is None or not field.lower().endswith("seconds"):
        return ""
    return f': for "{error.instance}" write {float(found[1]) * _UNITS[found[2]]:g}'


@cache
def _validator(kind: str) -> Any:
    crd = yaml.safe_load((_folder() / f"{PLURALS[kind]}.yaml").read_text(encoding="utf-8"))
    (version,) = crd["spec"]["versions"]
    found = version["schema"]["openAPIV3Schema"]
    return _Kubernetes({**found, "properties": {**found["properties"], "metadata": _METADATA}})


def _folder() -> Any:
    """Return the folder of the CRDs: in the package, or in a clone where they are generated."""
    shipped = files("lcm_operator") / "crds"
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "deploy" / "crds"


def _properties(validator: Any, properties: Any, instance: Any, schema: Any) -> Errors:
    """Check known fields and report unknown ones."""
    if not isinstance(instance, dict):
        return
    for name, value in instance.items():
        known = properties.get(name)
        if known is None:
            if not schema.get("x-kubernetes-preserve-unknown-fields"):
                yield ValidationError(f"unknown field{did_you_mean(name, properties)}", path=[name])
        elif value is not None or not known.get("nullable"):
            yield from validator.descend(value, known, path=name)


def _required(validator: Any, required: Any, instance: Any, schema: Any) -> Errors:  # noqa: ARG001
    if isinstance(instance, dict):
        missing = [name for name in required if name not in instance]
        yield from (ValidationError("is required", path=[name]) for name in missing)


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Errors:  # noqa: ARG001
    """Check a pattern of RE2, in which `$` matches only the very end."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError("", instance=instance)


def _list_type(validator: Any, kind: Any, instance: Any, schema: Any) -> Errors:  # noqa: ARG001
    """Report items that repeat an earlier one, in a set or by the keys of a map."""
    if kind == "atomic" or not isinstance(instance, list):
        return
    keys = schema.get("x-kubernetes-list-map-keys", [])
    seen: list[Any] = []
    for index, item in enumerate(instance):
        known = [item.get(key) for key in keys] if keys and isinstance(item, dict) else item
        if known in seen:
            yield ValidationError("repeats an earlier item", path=[index])
        seen.append(known)


def _validations(validator: Any, rules: Any, instance: Any, schema: Any) -> Errors:  # noqa: ARG001
    """Evaluate CEL rules, except those about changes of an object."""
    for rule in rules:
        if "oldSelf" in rule["rule"]:
            continue
        field = [name for name in rule.get("fieldPath", "").split(".") if name]
        for place in RULES[rule["message"]](instance):
            yield ValidationError(rule["message"], path=place or field)


_Kubernetes = extend(  # type: ignore[no-untyped-call]
    Draft4Validator,
    {
        "properties": _properties,
        "required": _required,
        "pattern": _pattern,
        "x-kubernetes-list-type": _list_type,
        "x-kubernetes-validations": _validations,
    },
)
