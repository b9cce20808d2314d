"""Readiness: everything that can be known about a trial before it is armed, at any distance from its start.

Plan, parameters, expressions, template, the objects that the engine refers to, and the registry's answer. The
result is the condition Armed: False with the reason and the next step, or Unknown (Checked). It is computed
anew on each change of the Trial or of what it refers to; `controllers.references` notices those of Secrets,
ConfigMaps and the like. Arming, shortly before the start, has the last word. Pure.
"""

import re
from datetime import UTC, datetime

from lcm_operator.api import conditions, reasons
from lcm_operator.api.conditions import ConditionUpdate
from lcm_operator.api.engine import TrialEngine, TrialEngineSpec
from lcm_operator.api.plan import TrialPlan
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Act, WatchReferences, act
from lcm_operator.domain.engine_spec import resolve_spec
from lcm_operator.domain.references import Need, missing_object, needs_of, registry_need
from lcm_operator.domain.snapshot import Problem, Snapshot

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_ASKED = re.compile(r" \(asked at [0-9:]+ UTC\)")


def readiness(snapshot: Snapshot, trial: Trial, start_time: datetime | None) -> ConditionUpdate | Act:
    """Return the condition Armed of a trial that is not armed yet, or the reads that come first."""
    needs = _needs(snapshot, trial, start_time)
    if isinstance(needs, Problem):
        return not_armed(needs)
    if (look := watch(snapshot, trial, needs)) is not None:
        return look
    if (problem := missing_object(needs, snapshot.references, trial.metadata.namespace)) is not None:
        return not_armed(problem)
    if start_time is not None:
        return ConditionUpdate(
            reasons.ARMED, "Unknown", reasons.CHECKED, "everything known so far is in order"
        )
    awaiting = awaited_report(snapshot, trial)
    if awaiting.message and _has_answer(snapshot, trial):
        return ConditionUpdate(reasons.ARMED, "False", awaiting.reason, awaiting.message)
    return ConditionUpdate(reasons.ARMED, "Unknown", reasons.WAITING)


def not_armed(problem: Problem) -> ConditionUpdate:
    """Return the condition Armed of a trial with a problem."""
    return ConditionUpdate(reasons.ARMED, "False", problem.reason, problem.message)


def armed_at_start(missing: Problem | None) -> ConditionUpdate:
    """Return the condition Armed of a started trial; its pod waits for what is missing."""
    return not_armed(missing) if missing else ConditionUpdate(reasons.ARMED, "True", reasons.ADMITTED)


def checked_spec(snapshot: Snapshot, trial: Trial, start_time: datetime) -> TrialEngineSpec | Problem:
    """Return the spec of the trial's TrialEngine, or why there can be none."""
    spec = resolve_spec(trial, snapshot.plan, start_time, snapshot.settings.engine_template)
    if not isinstance(spec, Problem) and snapshot.plan_faults:
        return Problem(reasons.PLAN_INVALID, f"{_plan_of(trial)}: {snapshot.plan_faults}; correct the plan")
    return spec


def missing_now(snapshot: Snapshot, engine: TrialEngine) -> Problem | None:
    """Return the problem of objects that an armed trial lacks; None if none is known to be missing."""
    needs = needs_of(engine.spec, snapshot.settings.engine_template)
    return missing_object(needs, snapshot.references, engine.metadata.namespace)


def watch(snapshot: Snapshot, trial: Trial, needs: tuple[Need, ...]) -> Act | None:
    """Return the action that has these objects read and watched; None if they are."""
    wanted = frozenset(need.object for need in needs)
    return None if wanted <= snapshot.watched else act(WatchReferences(trial, wanted))


def plan_version(snapshot: Snapshot, trial: Trial) -> int | None:
    """Return the generation of the plan that a trial would run now; None if there is none."""
    if snapshot.plan is None:
        return trial.metadata.generation
    return snapshot.plan.metadata.generation if isinstance(snapshot.plan, TrialPlan) else None


def has_current_plan(snapshot: Snapshot, trial: Trial, engine: TrialEngine) -> bool:
    """Return whether a TrialEngine was armed with the plan as it is now."""
    generation = engine.spec.plan_generation
    uid = snapshot.plan.metadata.uid if isinstance(snapshot.plan, TrialPlan) else None
    if generation is None:  # armed by an earlier version
        return True
    return (generation, engine.spec.plan_uid) == (plan_version(snapshot, trial), uid)


def awaited_report(snapshot: Snapshot, trial: Trial) -> ConditionUpdate:
    """Return the condition Scheduled of a trial whose start time was not reported; the message says why."""
    assert trial.spec.registry_ref is not None  # noqa: S101 - for mypy: there is no start time otherwise
    registry = f"TrialRegistry {trial.spec.registry_ref.name}"
    problem = missing_object(
        (registry_need(trial.spec.registry_ref.name),), snapshot.references, trial.metadata.namespace
    )
    look = snapshot.looks.get(trial.metadata.uid)
    reason, message = reasons.AWAITING_REGISTRY, f"{registry} is being asked for the start time"
    if problem is not None:
        reason, message = problem.reason, problem.message
    elif look is not None and look.failed is not None:
        message = f"{registry} did not report a start time: {look.failed.value}"
    elif look is not None and look.answered is not None:
        asked = f"{look.answered.astimezone(UTC):%H:%M:%S} UTC"
        message = (
            f"{registry} has no trial {trial.trial_id!r} (asked at {asked}); add it there, or create a Trial"
            " with the registry's ID. The registry is asked again at its interval"
        )
    return ConditionUpdate(reasons.SCHEDULED, "False", reason, _steady(trial, message))


def _steady(trial: Trial, message: str) -> str:
    """Return the shown message if only its time differs: else each pull would cause a write."""
    shown = conditions.find(trial.status.conditions, reasons.SCHEDULED)
    if shown is not None and _ASKED.sub("", shown.message) == _ASKED.sub("", message):
        return shown.message
    return message


def _has_answer(snapshot: Snapshot, trial: Trial) -> bool:
    look = snapshot.looks.get(trial.metadata.uid)
    return look is not None and (look.failed is not None or look.answered is not None)


def _needs(snapshot: Snapshot, trial: Trial, start_time: datetime | None) -> tuple[Need, ...] | Problem:
    spec = checked_spec(snapshot, trial, start_time or _ANY_TIME)
    if isinstance(spec, Problem):
        return spec
    registry = trial.spec.registry_ref
    needs = needs_of(spec, snapshot.settings.engine_template)
    return needs if registry is None else (registry_need(registry.name), *needs)


def _plan_of(trial: Trial) -> str:
    return f"TrialPlan {trial.plan_name}" if trial.plan_name else "the inline plan"
