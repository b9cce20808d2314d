"""The dummy partner services as a process: `python -m lcm_operator.partners`."""

import os
import sys

from lcm_operator import process
from lcm_operator.partners import settings
from lcm_operator.partners.dummy import application
from lcm_operator.registry.serving import serve

_PROGRAM = "lcm-partners"


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    found = process.prepare(_PROGRAM, settings.read(os.environ), stream=sys.stdout)
    return serve(_PROGRAM, settings.ADDRESS, found.address, application(found.trials, found.callback_seconds))


if __name__ == "__main__":
    sys.exit(main())
