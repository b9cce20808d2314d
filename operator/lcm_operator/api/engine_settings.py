"""`spec.engine`: how an engine is run, as Trial and TrialPlan may say it, and as a TrialEngine has it. Pure.

`template` is the raw pod template, checked by `domain.engine_template`.
"""

from typing import Any

import msgspec
from msgspec.structs import force_setattr

from lcm_operator.api.bounds import bounded
from lcm_operator.api.engine_template import merged
from lcm_operator.api.storage import Record


class EngineOptions(Record, frozen=True, kw_only=True):
    """`spec.engine` of Trial and TrialPlan: a field that is None is not set."""

    template: dict[str, Any] | None = None
    heartbeat_timeout_seconds: int | None = None
    max_restores: int | None = None
    active_deadline_seconds: int | None = None
    finally_timeout_seconds: int | None = None
    give_up_after_seconds: int | None = None
    warmup_seconds: int | None = None

    def __post_init__(self) -> None:
        if self.template:
            force_setattr(self, "template", bounded(self.template))


class EngineSettings(EngineOptions, frozen=True, kw_only=True):
    """`spec.engine` of a TrialEngine, with the defaults of its CRD."""

    template: dict[str, Any] = msgspec.field(default_factory=dict)
    heartbeat_timeout_seconds: int = 60
    max_restores: int = 0
    finally_timeout_seconds: int = 300
    warmup_seconds: int = 0


def resolve_settings(
    trial: EngineOptions, plan: EngineOptions, default_template: dict[str, Any]
) -> EngineSettings:
    """Return the settings of an engine: of each field the Trial's value, else the plan's, else the default.

    The templates, which must have passed the check, are merged.
    """
    given = {**_given(plan), **_given(trial)}
    template = merged(default_template, plan.template or {}, trial.template or {})
    return EngineSettings(**(given | {"template": template}))


def _given(options: EngineOptions) -> dict[str, Any]:
    fields = {name: getattr(options, name) for name in options.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not None}
