"""The kind TrialRegistry: an external service with trials and their start times."""

from typing import Any, Literal

import msgspec
from msgspec.structs import force_setattr

from lcm_operator.api.bounds import bounded
from lcm_operator.api.conditions import Conditions
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.storage import Moment, Record
from lcm_operator.api.trial import NameRef


class RegistryAuth(Record, frozen=True, kw_only=True):
    """Credentials: a Secret with `apikey`, or `user` and `password`."""

    secret_ref: NameRef


class TrialRegistrySpec(Record, frozen=True, kw_only=True):
    """The address of the registry and the use of its trials.

    `trial_template` is the raw spec of imported Trials; `ca_bundle` is base64 over PEM.
    """

    url: str
    interval_seconds: int = 60
    suspend: bool = False
    import_: Literal["None", "All"] = msgspec.field(name="import", default="None")
    import_limit: int = 1000
    on_vanished: Literal["Keep", "Suspend"] = "Keep"
    trial_template: dict[str, Any] = msgspec.field(default_factory=dict)
    auth: RegistryAuth | None = None
    ca_bundle: str | None = None

    def __post_init__(self) -> None:
        if self.trial_template:
            force_setattr(self, "trial_template", bounded(self.trial_template))


class Sync(Record, frozen=True, kw_only=True):
    """The last handled request by annotation to ask the registry immediately."""

    id: str
    time: Moment


class TrialRegistryStatus(Record, frozen=True, kw_only=True):
    """The result of asking the registry; written by the operator."""

    observed_generation: int = 0
    last_attempt_time: Moment | None = None
    last_sync_time: Moment | None = None
    last_handled_sync: Sync | None = None
    trials: int = 0
    listed: int = 0
    imported: int = 0
    not_imported: int = 0
    failed: int = 0
    ignored: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    conditions: Conditions = ()


class TrialRegistry(Record, frozen=True, kw_only=True):
    """The kind TrialRegistry."""

    metadata: Metadata
    spec: TrialRegistrySpec
    status: TrialRegistryStatus = msgspec.field(default_factory=TrialRegistryStatus)
