"""The dummy registry as a process: `python -m dummies.registry`, for trying out and for tests."""

import os
import sys

from dummies.registry import settings
from dummies.registry.dummy import application
from dummies.serving import serve
from lcm_operator import process

_PROGRAM = "lcm-registry"


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    found = process.prepare(_PROGRAM, settings.read(os.environ), stream=sys.stdout)
    return serve(_PROGRAM, settings.ADDRESS, found.address, application(found.trials, found.credentials))


if __name__ == "__main__":
    sys.exit(main())
