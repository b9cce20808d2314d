"""What the processes of the dummies have in common: where they listen, what they begin with."""

import json
import logging
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

_LARGEST_PORT = 65535
log = logging.getLogger(__name__)


def serve(
    prefix: str, default_address: str, application: Callable[[list[dict[str, Any]]], web.Application]
) -> int:
    """Serve until SIGTERM or SIGINT; return 2 if the settings don't fit.

    `prefix`_ADDRESS: host:port to listen at. `prefix`_SEED: a JSON file with the list of trials that
    `application` is made with. It raises ValueError for what it does not like.
    """
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        listener = _listener(f"{prefix}_ADDRESS", default_address)
        app = application(_seed(f"{prefix}_SEED"))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    log.info("serving at port %d", listener.getsockname()[1])
    web.run_app(app, sock=listener, print=None, shutdown_timeout=1)
    return 0


def _listener(variable: str, default: str) -> socket.socket:
    """Return what listens there. Raises ValueError."""
    host, _, port = (os.environ.get(variable) or default).rpartition(":")
    if not host or not (port.isdecimal() and int(port) <= _LARGEST_PORT):
        raise ValueError(f"{variable} must be host:port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=family)
    except OSError as error:
        raise ValueError(f"{variable}: {error}") from error


def _seed(variable: str) -> list[dict[str, Any]]:
    """Return the trials of a file. Raises ValueError."""
    file = os.environ.get(variable)
    try:
        trials = json.loads(Path(file).read_text(encoding="utf-8")) if file else []
    except (OSError, ValueError) as error:
        raise ValueError(f"{variable}: {error}") from error
    if not isinstance(trials, list) or not all(isinstance(trial, dict) and "id" in trial for trial in trials):
        raise ValueError(f"{variable} must hold a list of objects with an id")
    return trials
