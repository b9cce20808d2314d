"""The dummy registry as a process: `python -m lcm_operator.registry`, for trying out and for tests."""

import os
import sys

from lcm_operator import process
from lcm_operator.registry import settings
from lcm_operator.registry.dummy import application
from lcm_operator.registry.serving import serve

_PROGRAM = "lcm-registry"


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    found = process.prepare(_PROGRAM, settings.read(os.environ), stream=sys.stdout)
    return serve(_PROGRAM, settings.ADDRESS, found.address, application(found.trials, found.credentials))


if __name__ == "__main__":
    sys.exit(main())
