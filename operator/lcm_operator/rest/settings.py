"""The settings of the REST sidecar."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from zoneinfo import ZoneInfo

from lcm_operator import addresses, kinds, settings
from lcm_operator.addresses import Address
from lcm_operator.kube.settings import ClusterSettings
from lcm_operator.settings import Reading, setting

VERSIONS = ("0.1.1", "1.0.2")
API_LEVELS = kinds.one_of({version: version for version in VERSIONS})
UTC = ZoneInfo("UTC")
ADDRESS = "LCM_REST_ADDRESS"
METRICS_ADDRESS = "LCM_METRICS_ADDRESS"
API_LEVEL = "LCM_API_LEVEL"
TIME_ZONE = "LCM_TIMEZONE"
DEFAULT_PLAN = "LCM_DEFAULT_PLAN"
KEYS_FILE = "LCM_API_KEYS_FILE"
CERTIFICATE_FILE = "LCM_TLS_CERTIFICATE_FILE"
KEY_FILE = "LCM_TLS_KEY_FILE"


class Settings(ClusterSettings):
    """The variables of the sidecar."""

    namespace: str | None = setting(
        "LCM_NAMESPACE",
        kinds.NAMESPACE,
        None,
        "The one namespace that is served. If unset, that of the kubeconfig's context or of the pod.",
    )
    address: Address = setting(
        ADDRESS, addresses.ADDRESS, Address("127.0.0.1", 5000), "Where the routes are served."
    )
    metrics: Address = setting(
        METRICS_ADDRESS, addresses.ADDRESS, Address("127.0.0.1", 5002), "Where `/metrics` is served."
    )
    version: str = setting(
        API_LEVEL,
        API_LEVELS,
        VERSIONS[0],
        "The version of the Lifecycle Manager to imitate.",
    )
    timezone: ZoneInfo = setting(
        TIME_ZONE, kinds.TIME_ZONE, UTC, "The time zone of the times in `/status` at level 0.1.1."
    )
    registry: str = setting(
        "LCM_REGISTRY", kinds.OBJECT_NAME, "default", "The TrialRegistry that reports start times."
    )
    default_plan: str = setting(
        DEFAULT_PLAN,
        kinds.OBJECT_NAME,
        "default",
        "The TrialPlan of trials that are scheduled by REST.",
    )
    keys_file: Path | None = setting(
        KEYS_FILE, kinds.FILE, None, "The file of the API keys. If unset, callers need no key."
    )
    certificate_file: Path | None = setting(
        CERTIFICATE_FILE,
        kinds.FILE,
        None,
        "The certificate chain, in PEM, for serving the routes by https (TLS 1.2 or later). It is read again "
        "when it changes. If unset, they are served by plain http.",
    )
    key_file: Path | None = setting(
        KEY_FILE, kinds.FILE, None, "The private key of that certificate, in PEM without a password."
    )
    allow_no_keys: bool = setting(
        "LCM_INSECURE_NO_AUTH",
        kinds.BOOLEAN,
        False,
        "`true` allows other machines to call without API keys: anyone who can reach the port can run pods.",
    )
    allowed_hosts: frozenset[str] = setting(
        "LCM_ALLOWED_HOSTS",
        kinds.HOST_NAMES,
        frozenset(),
        "The host names that callers use, in addition to those of loopback and of its address.",
    )


def read(environment: Mapping[str, str]) -> Reading[Settings]:
    """Read the sidecar's variables."""
    return settings.read(Settings, environment, _check)


def _check(found: Settings, faulty: AbstractSet[str]) -> Iterator[str]:
    without_keys = found.keys_file is None and KEYS_FILE not in faulty
    if without_keys and not found.address.is_loopback and not found.allow_no_keys:
        yield (
            f"{ADDRESS}: {found.address.host} is reachable from other machines, and anyone could schedule "
            f"trials: set {KEYS_FILE}, or LCM_INSECURE_NO_AUTH=true if this is intended"
        )
    for name, file, other in (
        (CERTIFICATE_FILE, found.certificate_file, KEY_FILE),
        (KEY_FILE, found.key_file, CERTIFICATE_FILE),
    ):
        if (
            file is None
            and not {CERTIFICATE_FILE, KEY_FILE} & faulty
            and (found.certificate_file or found.key_file)
        ):
            yield f"{name}: expected the path of an existing file, because {other} is set"
