"""What the environment of `make up` and `make run` chooses for the processes that they start."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from lcm_operator import kinds, settings
from lcm_operator.controllers.settings import ENGINE_IMAGE
from lcm_operator.rest.settings import API_LEVEL, API_LEVELS, DEFAULT_PLAN, TIME_ZONE
from lcm_operator.settings import LogSettings, Reading, setting


class Settings(LogSettings):
    """What a caller can choose."""

    engine_image: str = setting(
        ENGINE_IMAGE, kinds.TEXT, "lcm-operator:local", "The image of engine pods, for the operator."
    )
    api_level: str | None = setting(
        API_LEVEL, API_LEVELS, None, "The level of the REST sidecar. If unset, it stays unchanged."
    )
    time_zone: ZoneInfo | None = setting(
        TIME_ZONE,
        kinds.TIME_ZONE,
        None,
        "The time zone of the REST sidecar. If unset, it stays unchanged.",
    )
    default_plan: str | None = setting(
        DEFAULT_PLAN,
        kinds.OBJECT_NAME,
        None,
        "The TrialPlan of trials that are scheduled by REST, at first `demo`. If unset, it stays unchanged.",
    )

    @property
    def rest(self) -> dict[str, str]:
        """The variables of the REST sidecar that were chosen."""
        chosen = {API_LEVEL: self.api_level, TIME_ZONE: self.time_zone, DEFAULT_PLAN: self.default_plan}
        return {name: str(value) for name, value in chosen.items() if value is not None}


def read(environment: Mapping[str, str]) -> Reading[Settings]:
    """Read the caller's variables."""
    return settings.read(Settings, environment)
