"""The dummy registry as a process: `python -m lcm_operator.registry`, for trying out and for tests.

LCM_REGISTRY_ADDRESS: host:port where it listens; default 127.0.0.1:5001.
LCM_REGISTRY_SEED: a JSON file with the list of trials that it begins with; default none.
LCM_REGISTRY_CREDENTIALS: the user:password that it asks for at trials; default none.
"""

import os
import sys

from lcm_operator.registry.dummy import application
from lcm_operator.registry.serving import serve


def main() -> int:
    """Serve until SIGTERM or SIGINT; 2 if the settings don't fit."""
    credentials = os.environ.get("LCM_REGISTRY_CREDENTIALS") or None
    return serve("LCM_REGISTRY", "127.0.0.1:5001", lambda seed: application(seed, credentials))


if __name__ == "__main__":
    sys.exit(main())
