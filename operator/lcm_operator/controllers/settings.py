"""The operator's settings: read once, in `__main__`, from the environment; all faults reported together."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lcm_operator.domain.snapshot import Settings as DomainSettings

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


@dataclass(frozen=True)
class Settings:
    """What the process depends on.

    LCM_KUBECONFIG: a kubeconfig; default: the pod's own ServiceAccount.
    LCM_CONTEXT: the context of that kubeconfig; default: its current one.
    LCM_ENGINE_IMAGE: the image of engine pods; default `lcm-operator`.
    LCM_HEALTH_ADDRESS: host:port of /healthz, /readyz and /metrics; default 0.0.0.0:8080.
    LCM_LEASE_NAMESPACE: where the Lease lies that elects the leader; default: the namespace
        of the kubeconfig's context, or the pod's own.
    LCM_POD_NAME: the pod in which no other process than this one leads: after a restart in there the Lease
        need not run out first. Default: none is known.
    LCM_WATCH_NAMESPACES: the namespaces that are watched, separated by commas, besides that of the Lease, and
        no right on any other is asked for; default: all.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    lease_namespace: str | None = None
    pod_name: str | None = None
    watch_namespaces: tuple[str, ...] = ()
    health: Address = Address("0.0.0.0", 8080)  # noqa: S104 - probes come from outside the pod
    domain: DomainSettings = field(default_factory=DomainSettings)

    def namespaces(self, own: str) -> tuple[str, ...]:
        """Return the namespaces that are watched, empty for all. `own`: that of the Lease.

        The Lease's is always among them: its renewals show that the watches are well.
        """
        return tuple(sorted({*self.watch_namespaces, own})) if self.watch_namespaces else ()


class BadSettings(ValueError):
    """One sentence for each variable that does not fit."""


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings. Raises BadSettings."""
    faults: list[str] = []
    kubeconfig = environment.get("LCM_KUBECONFIG") or None
    if kubeconfig is not None and not Path(kubeconfig).is_file():
        faults.append(f"LCM_KUBECONFIG: no file {kubeconfig!r}")
    health = Settings.health
    if address := environment.get("LCM_HEALTH_ADDRESS"):
        host, _, port = address.rpartition(":")
        if host and port.isdigit():
            health = Address(host, int(port))
        else:
            faults.append(f"LCM_HEALTH_ADDRESS: {address!r} is not host:port")
    watched = [name.strip() for name in environment.get("LCM_WATCH_NAMESPACES", "").split(",")]
    if watched != [""]:
        faults += [
            f"LCM_WATCH_NAMESPACES: {name!r} can't be a namespace"
            for name in watched
            if not _NAMESPACE.fullmatch(name)
        ]
    if faults:
        raise BadSettings("; ".join(faults))
    return Settings(
        kubeconfig=Path(kubeconfig) if kubeconfig else None,
        context=environment.get("LCM_CONTEXT") or None,
        lease_namespace=environment.get("LCM_LEASE_NAMESPACE") or None,
        pod_name=environment.get("LCM_POD_NAME") or None,
        watch_namespaces=tuple(filter(None, watched)),
        health=health,
        domain=DomainSettings(
            engine_image=environment.get("LCM_ENGINE_IMAGE") or DomainSettings.engine_image
        ),
    )
