"""What the operator tells the engine by its environment. Read once, in `__main__`."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from lcm_operator.api.engine import Parameter

PARAMETER_PREFIX = "LCM_PARAMETER_"
_NEEDED = (
    "LCM_TRIAL_ENGINE",
    "LCM_POD_NAME",
    "LCM_POD_UID",
    "LCM_SERVICE_ACCOUNT_DIRECTORY",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
)


class MisconfiguredError(Exception):
    """The environment lacks what the engine needs; names every variable."""


class Settings(Struct, frozen=True):
    """Which TrialEngine is run, by which pod."""

    trial_engine: str
    pod_name: str
    pod_uid: str
    service_account_directory: Path
    rest_token: Path | None
    secrets: Mapping[str, str]
    environment: Mapping[str, str]

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings in `environment`. What `exec` hands on is that without the parameters."""
        if missing := [name for name in _NEEDED if not environment.get(name)]:
            raise MisconfiguredError(f"not in the environment: {', '.join(missing)}")
        rest_token = environment.get("LCM_REST_TOKEN_FILE")
        return cls(
            trial_engine=environment["LCM_TRIAL_ENGINE"],
            pod_name=environment["LCM_POD_NAME"],
            pod_uid=environment["LCM_POD_UID"],
            service_account_directory=Path(environment["LCM_SERVICE_ACCOUNT_DIRECTORY"]),
            rest_token=Path(rest_token) if rest_token else None,
            secrets={k: v for k, v in environment.items() if k.startswith(PARAMETER_PREFIX)},
            environment={k: v for k, v in environment.items() if not k.startswith(PARAMETER_PREFIX)},
        )

    def parameters(self, declared: tuple[Parameter, ...]) -> dict[str, str]:
        """Return the values of the parameters; the node has put those of Secrets into the environment."""
        values: dict[str, str] = {}
        missing: list[str] = []
        for index, parameter in enumerate(declared):
            name = f"{PARAMETER_PREFIX}{index}"
            value = self.secrets.get(name) if parameter.secret_key_ref else parameter.value
            if value is None:
                missing.append(f"{name} (parameter {parameter.name})")
            else:
                values[parameter.name] = value
        if missing:
            raise MisconfiguredError(f"not in the environment: {', '.join(missing)}")
        return values
