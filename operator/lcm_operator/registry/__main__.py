"""The dummy registry as a process: `python -m lcm_operator.registry`, for trying out and for tests.

LCM_REGISTRY_ADDRESS: host:port where it listens; default 127.0.0.1:5001.
LCM_REGISTRY_SEED: a JSON file with the list of trials that it begins with; default none.
LCM_REGISTRY_CREDENTIALS: the user:password that it asks for at trials; default none.
"""

import json
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from lcm_operator.registry.dummy import application

_LARGEST_PORT = 65535
log = logging.getLogger(__name__)


def main() -> int:
    """Serve until SIGTERM or SIGINT; 2 if the settings don't fit."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        listener = _listener(os.environ.get("LCM_REGISTRY_ADDRESS") or "127.0.0.1:5001")
        trials = _seed(os.environ.get("LCM_REGISTRY_SEED"))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    app = application(trials, os.environ.get("LCM_REGISTRY_CREDENTIALS") or None)
    log.info("serving at port %d", listener.getsockname()[1])
    web.run_app(app, sock=listener, print=None, shutdown_timeout=1)
    return 0


def _listener(address: str) -> socket.socket:
    """Return what listens there. Raises ValueError."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isdecimal() and int(port) <= _LARGEST_PORT):
        raise ValueError("LCM_REGISTRY_ADDRESS must be host:port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=family)
    except OSError as error:
        raise ValueError(f"LCM_REGISTRY_ADDRESS: {error}") from error


def _seed(file: str | None) -> list[dict[str, Any]]:
    """Return the trials of a file. Raises ValueError."""
    try:
        trials = json.loads(Path(file).read_text(encoding="utf-8")) if file else []
    except (OSError, ValueError) as error:
        raise ValueError(f"LCM_REGISTRY_SEED: {error}") from error
    if not isinstance(trials, list) or not all(isinstance(trial, dict) and "id" in trial for trial in trials):
        raise ValueError("LCM_REGISTRY_SEED must hold a list of objects with an id")
    return trials


if __name__ == "__main__":
    sys.exit(main())
