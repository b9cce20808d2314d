"""The operator's settings, read once from the environment."""

from collections.abc import Mapping
from datetime import timedelta

from lcm_operator import addresses, kinds, settings
from lcm_operator.addresses import Address
from lcm_operator.domain.snapshot import Settings as DomainSettings
from lcm_operator.kube.settings import ClusterSettings
from lcm_operator.settings import Reading, setting

ENGINE_IMAGE = "LCM_ENGINE_IMAGE"
HEALTH_ADDRESS = "LCM_HEALTH_ADDRESS"
LEASE_NAME = "lcm-operator"
"""The election's Lease, in the namespace that is the operator's own."""


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
