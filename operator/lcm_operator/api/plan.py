"""A plan: the activities of a trial, in TrialPlan.spec, Trial.spec and TrialEngine.spec.

Defaults equal those of the CRDs; here they serve plans that never passed an API server. Only the engine
renders text fields with `{{ }}` expressions.
"""

from typing import Any

import msgspec
from msgspec.structs import force_setattr

from lcm_operator.api.bounds import bounded
from lcm_operator.api.engine_settings import EngineOptions
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.storage import Record

Text = dict[str, str]
Number = float | str
"""A number, or text with an expression that renders to one (`plan.numbers`)."""


class SecretKeyRef(Record, frozen=True, kw_only=True):
    """One key of a Secret in the trial's namespace."""

    name: str
    key: str


class PlanParameter(Record, frozen=True, kw_only=True):
    """A parameter that a plan declares; without `default` and `secretKeyRef` the trial must give it."""

    name: str
    default: str | None = None
    secret_key_ref: SecretKeyRef | None = None


class BasicAuth(Record, frozen=True, kw_only=True):
    """HTTP basic authentication."""

    username: str
    password: str


class Expectation(Record, frozen=True, kw_only=True):
    """What makes a response a success: one of `status` (default: any 2xx) and `condition`."""

    status: tuple[int, ...] = ()
    condition: str | None = None


class Until(Record, frozen=True, kw_only=True):
    """Repeat the request until `condition` holds; seconds."""

    condition: str
    interval_seconds: Number = 5
    timeout_seconds: Number = 600


class Http(Record, frozen=True, kw_only=True):
    """One outside request. At most one of `json_body` (`json` on the wire) and `body`."""

    url: str
    method: str = "GET"
    query: Text = msgspec.field(default_factory=dict)
    headers: Text = msgspec.field(default_factory=dict)
    basic_auth: BasicAuth | None = None
    pod_token: bool = False
    json_body: Any = msgspec.field(name="json", default=msgspec.UNSET)
    body: str | None = None
    expect: Expectation = msgspec.field(default_factory=Expectation)
    capture: Text = msgspec.field(default_factory=dict)
    secret_capture: tuple[str, ...] = ()
    timeout_seconds: Number = 30
    until: Until | None = None

    def __post_init__(self) -> None:
        if isinstance(self.json_body, dict | list):
            force_setattr(self, "json_body", bounded(self.json_body))


class Wait(Record, frozen=True, kw_only=True):
    """Wait for a signal received after the activity `after` started."""

    signal: str
    after: str | None = None
    timeout_seconds: Number | None = None


class Sleep(Record, frozen=True, kw_only=True):
    """Wait for a time: exactly one of both; `until_seconds` counts from the start time."""

    seconds: Number | None = None
    until_seconds: Number | None = None


class ConfigMapKeyRef(Record, frozen=True, kw_only=True):
    """One key of a ConfigMap in the trial's namespace."""

    name: str
    key: str


class ExecFile(Record, frozen=True, kw_only=True):
    """A file for a program: exactly one of both. `content` is not rendered."""

    name: str
    content: str | None = None
    config_map_key_ref: ConfigMapKeyRef | None = None


class Exec(Record, frozen=True, kw_only=True):
    """Run a program in the engine's container. The program's name is not rendered, its arguments are."""

    command: tuple[str, ...]
    env: Text = msgspec.field(default_factory=dict)
    stdin: str | None = None
    files: tuple[ExecFile, ...] = ()
    capture: Text = msgspec.field(default_factory=dict)
    timeout_seconds: Number | None = None


class Retry(Record, frozen=True, kw_only=True):
    """How often a failed activity is retried, and the pause before each retry in seconds."""

    limit: int | str = 0
    backoff_seconds: Number = 5


class Activity(Record, frozen=True, kw_only=True):
    """One step of a plan: exactly one of `http`, `wait`, `sleep`, `exec`. `branch`: see `plan.branches`."""

    name: str
    branch: str | None = None
    state_name: str | None = None
    when: str | None = None
    http: Http | None = None
    wait: Wait | None = None
    sleep: Sleep | None = None
    exec: Exec | None = None
    retry: Retry = msgspec.field(default_factory=Retry)
    continue_on_error: bool = False
    set: Text = msgspec.field(default_factory=dict)


class Plan(Record, frozen=True, kw_only=True):
    """The three lists of activities, and the target of the signal `finish`."""

    activities: tuple[Activity, ...] = ()
    on_failure: tuple[Activity, ...] = ()
    finally_: tuple[Activity, ...] = msgspec.field(name="finally", default=())
    finish_at: str | None = None

    @property
    def all_activities(self) -> tuple[Activity, ...]:
        """The activities of all three lists, in the order in which they may run."""
        return (*self.activities, *self.on_failure, *self.finally_)

    @property
    def config_map_files(self) -> frozenset[ConfigMapKeyRef]:
        """The keys of ConfigMaps that programs get as files; a pod has them in a volume."""
        return frozenset(
            file.config_map_key_ref
            for activity in self.all_activities
            for file in (activity.exec.files if activity.exec is not None else ())
            if file.config_map_key_ref is not None
        )


class TrialPlanSpec(Plan, frozen=True, kw_only=True):
    """A plan, the parameters that it declares, and settings of its engines, which a Trial may override."""

    parameters: tuple[PlanParameter, ...] = ()
    engine: EngineOptions = EngineOptions()


class TrialPlan(Record, frozen=True, kw_only=True):
    """The kind TrialPlan; it has no status."""

    metadata: Metadata
    spec: TrialPlanSpec = msgspec.field(default_factory=TrialPlanSpec)
