"""What is wrong with a manifest, as far as its files tell."""

from collections.abc import Iterator, Mapping
from typing import Any

from lcm_operator.api.engine import Parameter
from lcm_operator.api.names import API_VERSION
from lcm_operator.api.plan import Plan, PlanParameter, TrialPlanSpec
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.cli import schema
from lcm_operator.cli.manifests import Manifest
from lcm_operator.domain.engine_template import template_faults
from lcm_operator.plan import lint
from lcm_operator.plan.faults import Fault, Place
from lcm_operator.plan.numbers import resolve_numbers
from lcm_operator.plan.validation import parameter_faults, unsupported

Plans = Mapping[str, dict[str, Any]]
"""TrialPlans by name."""


def faults(manifest: Manifest, plans: Plans) -> Iterator[Fault]:
    """Yield the validation errors of a manifest, given the TrialPlans that are known."""
    value = manifest.value
    if value.get("apiVersion") != API_VERSION:
        yield Fault(("apiVersion",), f"must be {API_VERSION}")
    yield from schema.faults(value["kind"], value)
    if isinstance(spec := value.get("spec"), dict) and manifest.kind == "TrialPlan":
        yield from _below(("spec",), _template(spec))
        yield from _below(("spec",), lint.faults(spec, declared(spec).keys()))
    for place, spec in manifest.trial_specs():
        yield from _below(place, _template(spec))
        yield from _below(place, _of_trial(spec, plans))


def _below(place: Place, found: Iterator[Fault]) -> Iterator[Fault]:
    return (Fault((*place, *fault.place), fault.message) for fault in found)


def _template(spec: dict[str, Any]) -> Iterator[Fault]:
    match spec:
        case {"engine": {"template": dict(template)}}:
            yield from template_faults(template, ("engine", "template"))


def _of_trial(spec: dict[str, Any], plans: Plans) -> Iterator[Fault]:
    given = spec.get("parameters")
    given = given if isinstance(given, dict) else {}
    match spec:
        case {"activities": _}:
            yield from list(lint.faults(spec, given.keys())) or _value_faults(spec, given)
        case {"planRef": {"name": str(name)}} if name in plans:
            yield from misfits(plans[name], name, given)


def misfits(plan: dict[str, Any], name: str, given: dict[str, Any]) -> Iterator[Fault]:
    """Yield why these parameters do not fit a TrialPlan."""
    spec = plan.get("spec")
    if not isinstance(spec, dict):
        return
    known = declared(spec)
    if found := parameter_faults(given, known):
        yield from found
    elif not list(lint.faults(spec, known.keys())):
        for fault in _value_faults(spec, given):
            yield Fault(("parameters",), f"{fault.path} of TrialPlan {name}: {fault.message}")


def _value_faults(spec: dict[str, Any], given: dict[str, Any]) -> list[Fault]:
    """Return the errors that plain parameters cause; none of a plan with other errors."""
    try:
        plan = parse(spec, Plan)
        own: tuple[PlanParameter, ...] = ()
        if isinstance(spec.get("parameters"), list):
            own = parse(spec, TrialPlanSpec).parameters
        values = {each.name: each.default for each in own if each.default is not None} | {
            name: value for name, value in given.items() if isinstance(value, str)
        }
        numbers = resolve_numbers(plan, [Parameter(name=name, value=value) for name, value in values.items()])
    except MalformedError:
        return []
    literal = unsupported(plan)
    return [
        *(numbers if isinstance(numbers, list) else []),
        *(fault for fault in unsupported(plan, values) if fault not in literal),
    ]


def declared(spec: dict[str, Any]) -> dict[str, bool]:
    """Return the parameters that the spec of a TrialPlan declares, and whether each is required."""
    items = spec.get("parameters")
    return {
        str(item.get("name")): not {"default", "secretKeyRef"} & item.keys()
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict)
    }
