"""`python -m lcm_operator.controllers`: the operator process."""

import asyncio
import logging
import sys

from lcm_operator.controllers import settings
from lcm_operator.controllers.composition import run


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        asyncio.run(run(settings.read()))
    except settings.BadSettings as error:
        print(f"lcm-operator: {error}", file=sys.stderr)  # noqa: T201 - before there is a log
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
