"""From a Trial and its plan to the TrialEngine that it runs by: at arming, and at a restore with a new plan.

Pure.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from lcm_operator.api import names, reasons
from lcm_operator.api.bounds import TOO_LARGE_TEXT
from lcm_operator.api.engine import Parameter, TrialEngineSpec
from lcm_operator.api.engine_settings import EngineOptions, resolve_settings
from lcm_operator.api.metadata import OwnerReference
from lcm_operator.api.plan import Plan, PlanParameter, TrialPlan
from lcm_operator.api.similar import did_you_mean
from lcm_operator.api.storage import serialise
from lcm_operator.api.trial import Trial
from lcm_operator.domain.engine_template import template_faults
from lcm_operator.domain.snapshot import Problem
from lcm_operator.plan.numbers import resolve_numbers
from lcm_operator.plan.validation import parameter_faults, unsupported

LARGEST_SPEC = 256 * 1024


def resolve_spec(
    trial: Trial,
    plan: TrialPlan | Problem | None,
    start_time: datetime,
    default_template: dict[str, Any] | None = None,
) -> TrialEngineSpec | Problem:
    """Return what the engine of `trial` would run by, as Trial and plan stand now, or why that can't be.

    `plan` is the TrialPlan that the Trial uses, None if it has an inline plan. `default_template`, the
    operator's, must not cause a refusal.
    """
    if isinstance(plan, Problem):
        return plan
    chosen: Plan = trial.spec if plan is None else plan.spec
    parameters = _parameters(trial, () if plan is None else plan.spec.parameters, inline=plan is None)
    if isinstance(parameters, Problem):
        return parameters
    planned = EngineOptions() if plan is None else plan.spec.engine
    owner = "" if plan is None else f"TrialPlan {plan.metadata.name}: "
    if faults := [
        *(f"{owner}{fault}" for fault in template_faults(planned.template or {})),
        *map(str, template_faults(trial.spec.engine.template or {})),
    ]:
        return Problem(reasons.TEMPLATE_REFUSED, "; ".join(faults))
    default = default_template or {}
    settings = resolve_settings(trial.spec.engine, planned, default)
    known = {each.name: each.value for each in parameters if each.value is not None}
    if refused := unsupported(chosen, known):
        large = [fault for fault in refused if fault.message == TOO_LARGE_TEXT]
        reason = reasons.PLAN_TOO_LARGE if large else reasons.PLAN_UNSUPPORTED
        return Problem(reason, f"no engine can run the plan: {'; '.join(map(str, large or refused))}")
    lists = resolve_numbers(chosen, parameters)
    if isinstance(lists, list):
        return Problem(reasons.PARAMETERS_INVALID, "; ".join(map(str, lists)))
    spec = TrialEngineSpec(
        trial_id=trial.trial_id,
        trial_uid=trial.metadata.uid,
        trial_generation=trial.metadata.generation,
        plan_generation=trial.metadata.generation if plan is None else plan.metadata.generation,
        plan_uid=None if plan is None else plan.metadata.uid,
        start_time=start_time,
        **lists,
        finish_at=chosen.finish_at,
        parameters=parameters,
        engine=settings,
    )
    size = len(msgspec.json.encode(spec)) - len(msgspec.json.encode(default))
    if size > LARGEST_SPEC:
        return Problem(
            reasons.PLAN_TOO_LARGE, f"the resolved plan has {size} bytes; at most {LARGEST_SPEC} are allowed"
        )
    return spec


def plan_not_found(trial: Trial, known: Iterable[str]) -> Problem:
    """Return the problem of a Trial whose TrialPlan does not exist; `known`: the names of those that do."""
    name = trial.plan_name or ""
    if trial.spec.plan_ref is None:
        why = (
            f"the Trial has neither planRef nor activities, and there is no TrialPlan {name}; set one of them"
        )
    else:
        hint = did_you_mean(name, known)
        place = f"does not exist in namespace {trial.metadata.namespace}"
        why = f"TrialPlan {name} {place}; create it, or correct spec.planRef.name{hint}"
    return Problem(reasons.PLAN_NOT_FOUND, why)


def _parameters(
    trial: Trial, declared: tuple[PlanParameter, ...], *, inline: bool
) -> tuple[Parameter, ...] | Problem:
    given = trial.spec.parameters
    if inline:
        return tuple(Parameter(name=name, value=value) for name, value in sorted(given.items()))
    faults = parameter_faults(
        given, {each.name: each.default is None and each.secret_key_ref is None for each in declared}
    )
    if faults:
        return Problem(reasons.PARAMETERS_INVALID, "; ".join(f"spec.{fault}" for fault in faults))
    return tuple(
        Parameter(name=parameter.name, value=given[parameter.name])
        if parameter.name in given
        else Parameter(name=parameter.name, value=parameter.default, secret_key_ref=parameter.secret_key_ref)
        for parameter in declared
    )


def engine_manifest(trial: Trial, spec: TrialEngineSpec) -> dict[str, Any]:
    """Return the manifest of the TrialEngine of `trial`."""
    engine = names.engine_name(trial.trial_id)
    owner = OwnerReference(kind="Trial", name=trial.metadata.name, uid=trial.metadata.uid, controller=True)
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TrialEngine",
        "metadata": {
            "name": engine,
            "namespace": trial.metadata.namespace,
            "labels": {names.LABEL_TRIAL: engine},
            "ownerReferences": [
                serialise(owner) | {"apiVersion": names.API_VERSION, "blockOwnerDeletion": True}
            ],
        },
        "spec": serialise(spec),
    }
