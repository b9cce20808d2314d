"""The dummy registry as a process: `python -m lcm_operator.registry`, for trying out and for tests.

LCM_REGISTRY_ADDRESS: host:port where it listens; default 127.0.0.1:5001.
LCM_REGISTRY_SEED: a JSON file with the list of trials that it begins with; default none.
"""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from lcm_operator.registry.dummy import application


def main() -> int:
    """Serve until SIGTERM or SIGINT; 2 if the settings don't fit."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    host, _, port = os.environ.get("LCM_REGISTRY_ADDRESS", "127.0.0.1:5001").rpartition(":")
    try:
        trials = _seed(os.environ.get("LCM_REGISTRY_SEED"))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"LCM_REGISTRY_SEED: {error}\n")
        return 2
    if not host or not port.isdecimal():
        sys.stderr.write("LCM_REGISTRY_ADDRESS must be host:port\n")
        return 2
    web.run_app(application(trials), host=host.strip("[]"), port=int(port), print=None, shutdown_timeout=1)
    return 0


def _seed(file: str | None) -> list[dict[str, Any]]:
    """Return the trials of a file. Raises OSError, ValueError."""
    trials = json.loads(Path(file).read_text(encoding="utf-8")) if file else []
    if not isinstance(trials, list) or not all(isinstance(trial, dict) and "id" in trial for trial in trials):
        raise ValueError("it must hold a list of objects with an id")
    return trials


if __name__ == "__main__":
    sys.exit(main())
