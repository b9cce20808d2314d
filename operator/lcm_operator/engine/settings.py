"""The engine's settings, read once by its process from what the operator wrote into the pod."""

from collections.abc import Mapping
from pathlib import Path

from lcm_operator import kinds, settings
from lcm_operator.api.engine import Parameter
from lcm_operator.kube.settings import ProxySettings
from lcm_operator.settings import Reading, SettingsError, family, setting

PARAMETER_PREFIX = "LCM_PARAMETER_"


class Settings(ProxySettings):
    """Which TrialEngine is run, by which pod, and what it has there."""

    trial_engine: str = setting(
        "LCM_TRIAL_ENGINE", kinds.OBJECT_NAME, "", "The TrialEngine to run.", required=True
    )
    pod_name: str = setting(settings.POD_NAME, kinds.OBJECT_NAME, "", "The engine's own pod.", required=True)
    pod_uid: str = setting(
        "LCM_POD_UID", kinds.TEXT, "", "The UID of that pod, which the grant names.", required=True
    )
    service_account_directory: Path = setting(
        "LCM_SERVICE_ACCOUNT_DIRECTORY",
        kinds.PATH,
        Path(),
        "The folder with `token`, `ca.crt` and `namespace`.",
        required=True,
    )
    rest_token: Path | None = setting(
        "LCM_REST_TOKEN_FILE",
        kinds.PATH,
        None,
        "The token that the engine presents to the REST sidecar, if the plan sends requests there.",
    )
    files: Path | None = setting(
        "LCM_FILES_DIRECTORY",
        kinds.PATH,
        None,
        "The folder with files of programs that come from ConfigMaps, if the plan has any.",
    )
    termination_log: Path | None = setting(
        "LCM_TERMINATION_LOG", kinds.PATH, None, "The file for the termination message, of at most 4 KiB."
    )
    secrets: Mapping[str, str] = family(
        PARAMETER_PREFIX,
        "The value of the parameter at this index in `spec.parameters`, from 0, if it comes from a Secret. "
        "Programs of `exec` do not inherit it.",
    )
    api_host: str = setting(
        "KUBERNETES_SERVICE_HOST",
        kinds.TEXT,
        "",
        "The API server; set by Kubernetes in every pod.",
        required=True,
    )
    api_port: str = setting(
        "KUBERNETES_SERVICE_PORT",
        kinds.TEXT,
        "",
        "The API server's port; set by Kubernetes.",
        required=True,
    )
    environment: Mapping[str, str] = {}
    """What programs of `exec` inherit."""

    def parameters(self, declared: tuple[Parameter, ...]) -> dict[str, str]:
        """Return the values of the parameters; the node has put those of Secrets into the environment.

        Raises SettingsError.
        """
        values: dict[str, str] = {}
        missing: list[str] = []
        for index, parameter in enumerate(declared):
            name = f"{PARAMETER_PREFIX}{index}"
            value = self.secrets.get(name) if parameter.secret_key_ref else parameter.value
            if value is None:
                missing.append(f"{name}: expected the value of parameter {parameter.name}, but it is not set")
            else:
                values[parameter.name] = value
        if missing:
            raise SettingsError(*missing)
        return values


def read(environment: Mapping[str, str]) -> Reading[Settings]:
    """Read the engine's variables."""
    reading = settings.read(Settings, environment)
    inherited = {name: text for name, text in environment.items() if not name.startswith(PARAMETER_PREFIX)}
    reading.settings = reading.settings.with_(environment=inherited)
    return reading
