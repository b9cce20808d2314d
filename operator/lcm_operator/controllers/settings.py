"""The operator's settings, read once from the environment."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lcm_operator import addresses, kinds, settings
from lcm_operator.addresses import Address
from lcm_operator.api.bounds import bounded
from lcm_operator.domain.engine_template import default_faults
from lcm_operator.domain.snapshot import Settings as DomainSettings
from lcm_operator.kinds import Kind
from lcm_operator.kube.settings import ClusterSettings
from lcm_operator.settings import Reading, setting

ENGINE_IMAGE = "LCM_ENGINE_IMAGE"
ENGINE_TEMPLATE = "LCM_ENGINE_TEMPLATE"
ENGINE_USER_ID = "LCM_ENGINE_USER_ID"
HEALTH_ADDRESS = "LCM_HEALTH_ADDRESS"
LEASE_NAME = "lcm-operator"
"""The election's Lease, in the namespace that is the operator's own."""


_PLATFORM = "platform"
_LARGEST_USER_ID = 2**31 - 1
_LARGEST_TEMPLATE = 32 * 1024


def _template(text: str) -> Mapping[str, Any]:
    if len(text.encode()) > _LARGEST_TEMPLATE:
        raise ValueError(f"it has more than {_LARGEST_TEMPLATE // 1024} KiB")
    try:
        found: dict[str, Any] = bounded(json.loads(text))
    except RecursionError:
        raise ValueError("it nests too deep") from None
    if faults := default_faults(found):
        raise ValueError("; ".join(map(str, faults)))
    return found


def _user_id(text: str) -> int | None:
    if text == _PLATFORM:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _LARGEST_USER_ID):
        raise ValueError
    return int(text)


_TEMPLATE = Kind("a JSON object of the form of spec.engine.template", _template)
_USER_ID = Kind(f"a number from 1 to {_LARGEST_USER_ID}, or {_PLATFORM}", _user_id)


class Settings(ClusterSettings):
    """The settings of the operator."""

    health: Address = setting(
        HEALTH_ADDRESS,
        addresses.ADDRESS,
        Address(addresses.EVERY_HOST, 8080),
        "Where `/healthz`, `/readyz` and `/metrics` are served. `*` is every address, IPv4 and IPv6.",
    )
    engine_image: str = setting(
        ENGINE_IMAGE, kinds.TEXT, DomainSettings.engine_image, "The image of engine pods."
    )
    engine_template: Mapping[str, Any] = setting(
        ENGINE_TEMPLATE,
        _TEMPLATE,
        {},
        "Defaults of all engine pods: a JSON object of the form of `spec.engine.template`, which those of "
        "TrialPlan and Trial are merged with. A change applies to trials that are armed afterwards.",
        secret=True,
    )
    engine_user_id: int | None = setting(
        ENGINE_USER_ID,
        _USER_ID,
        DomainSettings.engine_user_id,
        "User and group of engine pods. `platform` sets none: that of the platform counts, such as that of "
        "OpenShift's SCC, else the image's.",
    )
    arm_lead_seconds: float = setting(
        "LCM_ARM_LEAD_SECONDS",
        kinds.LEAD_SECONDS,
        DomainSettings.arm_lead.total_seconds(),
        "How long before its start a trial is armed: TrialEngine created, admission of its pod checked.",
    )
    watch_namespaces: tuple[str, ...] = setting(
        "LCM_WATCH_NAMESPACES",
        kinds.NAMESPACES,
        (),
        "The namespaces that the operator watches, in addition to that of its Lease; it then needs no rights "
        "in any other. If unset, it watches all namespaces.",
    )
    lease_namespace: str | None = setting(
        "LCM_LEASE_NAMESPACE",
        kinds.NAMESPACE,
        None,
        "The namespace of the Lease that elects the leader. If unset, that of the kubeconfig's context or of "
        "the pod.",
    )
    pod_name: str | None = setting(
        settings.POD_NAME,
        kinds.OBJECT_NAME,
        None,
        "The pod of this process. No other process in that pod may lead: a restarted container then need not "
        "wait until its Lease has expired.",
    )

    @property
    def domain(self) -> DomainSettings:
        """The settings that decisions depend on."""
        return DomainSettings(
            engine_image=self.engine_image,
            engine_variables=self.log_variables,
            engine_template=dict(self.engine_template),
            engine_user_id=self.engine_user_id,
            arm_lead=timedelta(seconds=self.arm_lead_seconds),
        )

    def namespaces(self, own: str) -> tuple[str, ...]:
        """Return the namespaces that are watched, empty for all. `own`: that of the Lease.

        The Lease's is always among them: its renewals show that the watches work.
        """
        return tuple(sorted({*self.watch_namespaces, own})) if self.watch_namespaces else ()


def read(environment: Mapping[str, str]) -> Reading[Settings]:
    """Read the operator's variables."""
    return settings.read(Settings, environment)
