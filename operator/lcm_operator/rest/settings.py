"""The sidecar's settings: read once, in `__main__`, from the environment; all faults reported together."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

VERSIONS = ("0.1.1", "1.0.2")
UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address of `host:port` or `[ipv6]:port`. Raises ValueError."""
        host, _, port = text.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        if not bare or (":" in bare and bare == host) or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004
            raise ValueError(f"{text!r} is not host:port")
        return cls(bare, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True)
class Settings:
    """What the process depends on.

    LCM_KUBECONFIG: a kubeconfig; default: the pod's own ServiceAccount.
    LCM_CONTEXT: the context of that kubeconfig; default: its current one.
    LCM_NAMESPACE: the one namespace that is served; default: that of the context, or the pod's own.
    LCM_REST_ADDRESS: host:port of the routes; default 127.0.0.1:5000.
    LCM_METRICS_ADDRESS: host:port of /metrics; default 127.0.0.1:5002.
    LCM_API_LEVEL: 0.1.1 (the default) or 1.0.2.
    LCM_TIMEZONE: the time zone of /status at 0.1.1; default UTC.
    LCM_REGISTRY: the TrialRegistry that is asked; default `default`.
    LCM_DEFAULT_PLAN: the TrialPlan of what is scheduled here; default `default`.
    LCM_API_KEYS_FILE: the API keys (`keys`); without it there is no authentication.
    LCM_INSECURE_NO_AUTH: `true` to listen beyond loopback without authentication.
    LCM_ALLOWED_HOSTS: further names, separated by commas, under which callers may know the sidecar.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    address: Address = Address("127.0.0.1", 5000)
    metrics: Address = Address("127.0.0.1", 5002)
    version: str = VERSIONS[0]
    timezone: ZoneInfo = UTC
    registry: str = "default"
    default_plan: str = "default"
    keys_file: Path | None = None
    allowed_hosts: frozenset[str] = frozenset()


class BadSettings(ValueError):
    """One sentence for each variable that does not fit."""


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings. Raises BadSettings."""
    reading = _Reading(environment)
    settings = Settings(
        kubeconfig=reading.file("LCM_KUBECONFIG"),
        context=environment.get("LCM_CONTEXT") or None,
        namespace=environment.get("LCM_NAMESPACE") or None,
        address=reading.address("LCM_REST_ADDRESS", Settings.address),
        metrics=reading.address("LCM_METRICS_ADDRESS", Settings.metrics),
        version=reading.one_of("LCM_API_LEVEL", VERSIONS),
        timezone=reading.timezone("LCM_TIMEZONE"),
        registry=environment.get("LCM_REGISTRY") or Settings.registry,
        default_plan=environment.get("LCM_DEFAULT_PLAN") or Settings.default_plan,
        keys_file=reading.file("LCM_API_KEYS_FILE"),
        allowed_hosts=frozenset(
            name.strip().lower()
            for name in environment.get("LCM_ALLOWED_HOSTS", "").split(",")
            if name.strip()
        ),
    )
    without = reading.one_of("LCM_INSECURE_NO_AUTH", ("false", "true"))
    open_to_all = settings.keys_file is None and not settings.address.is_loopback
    if open_to_all and without != "true":
        reading.faults.append(
            f"LCM_REST_ADDRESS: {settings.address.host} can be reached from elsewhere, and anybody could "
            "schedule trials: give LCM_API_KEYS_FILE, or LCM_INSECURE_NO_AUTH=true if that is meant"
        )
    if reading.faults:
        raise BadSettings("; ".join(reading.faults))
    return settings


class _Reading:
    """The environment, and what is wrong with it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.faults: list[str] = []

    def file(self, name: str) -> Path | None:
        value = self._environment.get(name)
        if not value:
            return None
        if not Path(value).is_file():
            self.faults.append(f"{name}: no file {value!r}")
        return Path(value)

    def address(self, name: str, default: Address) -> Address:
        value = self._environment.get(name)
        if not value:
            return default
        try:
            return Address.parse(value)
        except ValueError as error:
            self.faults.append(f"{name}: {error}")
            return default

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value = self._environment.get(name) or choices[0]
        if value not in choices:
            self.faults.append(f"{name}: {value!r} is none of {', '.join(choices)}")
        return value

    def timezone(self, name: str) -> ZoneInfo:
        value = self._environment.get(name) or "UTC"
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.faults.append(f"{name}: no time zone {value!r}")
            return UTC
