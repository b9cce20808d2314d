"""The settings of the dummy registry, and what those of any dummy begin with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lcm_operator import addresses, settings
from lcm_operator.addresses import Address
from lcm_operator.kinds import Kind
from lcm_operator.settings import LogSettings, Reading, setting

ADDRESS = "LCM_REGISTRY_ADDRESS"
Trials = tuple[dict[str, Any], ...]


def _trials(text: str) -> Trials:
    try:
        found = json.loads(Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(str(error)) from error
    if not isinstance(found, list) or not all(isinstance(trial, dict) and "id" in trial for trial in found):
        raise ValueError
    return tuple(found)


def _credentials(text: str) -> str:
    if ":" not in text:
        raise ValueError
    return text


TRIALS = Kind("a JSON file with a list of objects that have an id", _trials)
_CREDENTIALS = Kind("user:password", _credentials)


class Settings(LogSettings):
    """What the dummy registry depends on."""

    address: Address = setting(
        ADDRESS,
        addresses.ADDRESS_OR_ANY_PORT,
        Address("127.0.0.1", 5001),
        "Where the dummy registry is served.",
    )
    trials: Trials = setting("LCM_REGISTRY_SEED", TRIALS, (), "The trials that it has when it starts.")
    credentials: str | None = setting(
        "LCM_REGISTRY_CREDENTIALS",
        _CREDENTIALS,
        None,
        "The credentials that requests to `/trial` need; requests to `/_faults` need none.",
        secret=True,
    )


def read(environment: Mapping[str, str]) -> Reading[Settings]:
    """Read the dummy registry's variables."""
    return settings.read(Settings, environment)
