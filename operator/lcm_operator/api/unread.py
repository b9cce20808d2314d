"""Which values of an object were not read, because they nest too deep. Pure."""

from collections.abc import Iterator

from lcm_operator.api.bounds import TOO_DEEP_TEXT, is_unread
from lcm_operator.api.engine import EngineSettings, TrialEngine
from lcm_operator.api.plan import Plan, TrialPlan
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.trial import Trial


def unread(found: Trial | TrialEngine | TrialPlan | TrialRegistry) -> str:
    """Return a sentence that names the fields, empty if all was read."""
    paths = list(_paths(found))
    return f"{', '.join(paths)}: {TOO_DEEP_TEXT}" if paths else ""


def _paths(found: Trial | TrialEngine | TrialPlan | TrialRegistry) -> Iterator[str]:
    match found:
        case TrialRegistry():
            if is_unread(found.spec.trial_template):
                yield "spec.trialTemplate"
        case TrialPlan():
            yield from _plan(found.spec)
        case Trial():
            yield from (*_plan(found.spec), *_template(found.spec.engine))
        case TrialEngine():
            yield from (*_plan(found.spec), *_template(found.spec.engine))
            for index, activity in enumerate(found.status.activities):
                if is_unread(activity.output):
                    yield f"status.activities[{index}].output"


def _plan(plan: Plan) -> Iterator[str]:
    lists = (("activities", plan.activities), ("onFailure", plan.on_failure), ("finally", plan.finally_))
    for field, activities in lists:
        for index, activity in enumerate(activities):
            if activity.http is not None and is_unread(activity.http.json_body):
                yield f"spec.{field}[{index}].http.json"


def _template(engine: EngineSettings) -> Iterator[str]:
    if is_unread(engine.template):
        yield "spec.engine.template"
