"""The settings of the dummy partner services."""

from collections.abc import Mapping

from dummies.registry.settings import TRIALS, Trials
from lcm_operator import addresses, kinds, settings
from lcm_operator.addresses import Address
from lcm_operator.settings import LogSettings, Reading, setting

ADDRESS = "LCM_PARTNERS_ADDRESS"


class Settings(LogSettings):
    """What the dummy partner services depend on."""

    address: Address = setting(
        ADDRESS,
        addresses.ADDRESS_OR_ANY_PORT,
        Address("127.0.0.1", 5003),
        "Where the dummies are served.",
    )
    trials: Trials = setting(
        "LCM_PARTNERS_SEED", TRIALS, (), "The trials in their repository when they start."
    )
    callback_seconds: float = setting(
        "LCM_PARTNERS_CALLBACK_SECONDS",
        kinds.SECONDS,
        1.0,
        "The time from a request to its callback, in seconds.",
    )


def read(environment: Mapping[str, str]) -> Reading[Settings]:
    """Read the variables of the dummy partner services."""
    return settings.read(Settings, environment)
