"""The dummy partner services as a process: `python -m lcm_operator.partners`.

LCM_PARTNERS_ADDRESS: host:port where they listen; default 127.0.0.1:5003.
LCM_PARTNERS_SEED: a JSON file with the list of trials that their repository begins with; default none.
LCM_PARTNERS_CALLBACK_SECONDS: how long what they are asked for takes; default 1.
"""

import os
import sys
from typing import Any

from aiohttp import web

from lcm_operator.partners.dummy import application
from lcm_operator.registry.serving import serve


def main() -> int:
    """Serve until SIGTERM or SIGINT; 2 if the settings don't fit."""
    return serve("LCM_PARTNERS", "127.0.0.1:5003", _application)


def _application(seed: list[dict[str, Any]]) -> web.Application:
    given = os.environ.get("LCM_PARTNERS_CALLBACK_SECONDS") or "1"
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not seconds >= 0:
        raise ValueError("LCM_PARTNERS_CALLBACK_SECONDS must be a number from 0 on")
    return application(seed, seconds)


if __name__ == "__main__":
    sys.exit(main())
