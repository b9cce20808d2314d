"""`python -m lcm_operator.controllers`: the operator process."""

import logging
import sys

from lcm_operator import process
from lcm_operator.controllers import settings
from lcm_operator.controllers.composition import run

_GRACE_SECONDS = 12.0


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        given = settings.read()
    except settings.BadSettings as error:
        print(f"lcm-operator: {error}", file=sys.stderr)  # noqa: T201 - before there is a log
        return 2
    return process.run(lambda stopping: run(given, stopping), grace_seconds=_GRACE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
