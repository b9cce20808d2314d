"""`python -m lcm_operator.controllers`: the operator process."""

import os
import sys

from lcm_operator import process
from lcm_operator.controllers import settings
from lcm_operator.controllers.composition import run

_PROGRAM = "lcm-operator"
_GRACE_SECONDS = 12.0


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    found = process.prepare(_PROGRAM, settings.read(os.environ))
    return process.run(_PROGRAM, lambda stopping: run(found, stopping), grace_seconds=_GRACE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
