"""Ends everything that a node left running, by its files alone: no API server, no node.

Called by `__main__ --reap`, for `make down` and after a crash.
"""

import time
from pathlib import Path

from devcluster.node.files import all_pods
from devcluster.node.supervisor import Supervisor

_KILL_SECONDS = 5.0


def reap(root: Path, grace_seconds: float) -> int:
    """Terminate all pods below `root`, kill those left after the grace; return the number of containers."""
    found = [
        supervisor
        for files in all_pods(root).values()
        for container in files.containers()
        if (supervisor := Supervisor.of(container)) is not None
    ]
    try:
        for supervisor in found:
            supervisor.terminate()
        left = _still_there(found, grace_seconds)
        for supervisor in left:
            supervisor.kill()
        left = _still_there(left, _KILL_SECONDS)
        for supervisor in left:
            supervisor.kill_itself()
    finally:
        for supervisor in found:
            supervisor.close()
    return len(found)


def _still_there(supervisors: list[Supervisor], seconds: float) -> list[Supervisor]:
    deadline = time.monotonic() + seconds
    return [item for item in supervisors if not item.wait(deadline - time.monotonic())]
