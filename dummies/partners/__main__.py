"""The dummy partner services as a process: `python -m dummies.partners`."""

import os
import sys

from dummies.partners import settings
from dummies.partners.dummy import application
from dummies.serving import serve
from lcm_operator import process

_PROGRAM = "lcm-partners"


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    found = process.prepare(_PROGRAM, settings.read(os.environ), stream=sys.stdout)
    return serve(_PROGRAM, settings.ADDRESS, found.address, application(found.trials, found.callback_seconds))


if __name__ == "__main__":
    sys.exit(main())
