"""A guardian that takes a cluster down when the one who started it is gone, however that happened.

`guarded` starts it in a session of its own, with a pipe from the starter as its input: when the starter ends,
even by SIGKILL, the kernel closes the pipe, and the guardian ends what still runs. `make run` and the tests
use it; `make up` does not, its cluster is meant to stay. No signal of the terminal may end it.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from devcluster.cluster.cluster import Cluster

_PR_SET_PDEATHSIG = 1


@contextlib.contextmanager
def guarded(cluster: Cluster, *, remove: bool = False) -> Iterator[None]:
    """Take the cluster down at the end of the block or of this process; `remove` its directory as well."""
    arguments = [str(cluster.directory), *(["--remove"] if remove else [])]
    with subprocess.Popen(
        [sys.executable, "-m", "devcluster.cluster.guard", *arguments],
        stdin=subprocess.PIPE,
        cwd="/",
        start_new_session=True,
    ) as guardian:
        try:
            yield
        finally:
            with contextlib.suppress(BrokenPipeError):
                guardian.communicate()


def end_with_make() -> None:
    """Have this process end when the `make` that started it ends, however that happens.

    Make can be killed without us; then our cluster would stay. Whoever else starts us may go.
    """
    if "MAKELEVEL" in os.environ:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main(directory: Path, *, remove: bool) -> None:
    """Wait for the end of the input, then take the cluster down."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    Cluster(directory).down()
    if remove:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), remove="--remove" in sys.argv[2:])
