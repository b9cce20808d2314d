"""The values of an object that were not read, because they nest too deep or are too large. Pure."""

from collections.abc import Iterator

from lcm_operator.api.bounds import unread_because
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.plan import Plan, TrialPlan
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.trial import Trial


def unread(found: Trial | TrialEngine | TrialPlan | TrialRegistry) -> str:
    """Return a message with these fields; empty without any."""
    return "; ".join(f"{path}: {why}" for path, value in _values(found) if (why := unread_because(value)))


def _values(found: Trial | TrialEngine | TrialPlan | TrialRegistry) -> Iterator[tuple[str, object]]:
    """Yield the free-form values with their paths."""
    match found:
        case TrialRegistry():
            yield "spec.trialTemplate", found.spec.trial_template
        case Trial() | TrialPlan() | TrialEngine():
            yield from (*_plan(found.spec), ("spec.engine.template", found.spec.engine.template))
    if isinstance(found, TrialEngine):
        for index, activity in enumerate(found.status.activities):
            yield f"status.activities[{index}].output", activity.output


def _plan(plan: Plan) -> Iterator[tuple[str, object]]:
    lists = (("activities", plan.activities), ("onFailure", plan.on_failure), ("finally", plan.finally_))
    for field, activities in lists:
        for index, activity in enumerate(activities):
            if activity.http is not None:
                yield f"spec.{field}[{index}].http.json", activity.http.json_body
