"""The command line of the local node; `python -m devcluster.node --help`."""

import argparse
import asyncio
import contextlib
import fcntl
import os
import sys
from pathlib import Path

from devcluster.node.node import Settings, run
from devcluster.node.reaping import reap
from devcluster.node.serving import Endpoint
from lcm_operator import logs, process
from lcm_operator.kube.kubeconfig import from_kubeconfig
from lcm_operator.settings import LogSettings, read

_REAP_GRACE_SECONDS = 3.0
_GRACE_SECONDS = 8.0
_PROGRAM = "lcm-node"
log = logs.get(__name__)


def main() -> int:
    """Be a node, or reap what one left."""
    arguments = _parser().parse_args()
    process.prepare(_PROGRAM, read(LogSettings, os.environ))
    root: Path = arguments.root.absolute()
    if arguments.reap:
        log.info("containers ended", count=reap(root, arguments.grace_seconds))
        return 0
    if arguments.kubeconfig is None or arguments.log_dir is None:
        _parser().error("--kubeconfig and --log-dir are needed to be a node")
    serves = arguments.port is not None and arguments.pki is not None
    endpoint = Endpoint(arguments.port, arguments.pki.absolute()) if serves else None
    settings = Settings(
        name=arguments.name, root=root, log_directory=arguments.log_dir.absolute(), endpoint=endpoint
    )
    lock = _lock(root)
    if lock is None:
        log.error("another node runs on this directory", root=root)
        return 1
    return process.run(
        _PROGRAM,
        lambda stopping: _until_stopped(arguments.kubeconfig, settings, stopping.requested),
        grace_seconds=_GRACE_SECONDS,
    )


async def _until_stopped(kubeconfig: Path, settings: Settings, stop: asyncio.Event) -> int:
    work = asyncio.create_task(run(from_kubeconfig(kubeconfig), settings))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    log.info("node stopped; its pods keep running")
    return 0


def _lock(root: Path) -> int | None:
    """Keep other nodes away from this root as long as the process lives; None if there is one."""
    root.mkdir(parents=True, exist_ok=True)
    lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m devcluster.node",
        description="Run the pods of one node as plain processes of this machine.",
    )
    parser.add_argument("--root", type=Path, required=True, help="directory for the state of its pods")
    parser.add_argument("--kubeconfig", type=Path, help="kubeconfig of the API server")
    parser.add_argument("--log-dir", type=Path, help="directory for the containers' logs")
    parser.add_argument("--port", type=int, help="with --pki: port for the logs of its pods")
    parser.add_argument("--pki", type=Path, help="directory of the cluster's keys and certificates")
    parser.add_argument("--name", default="local", help="name of the Node (default: local)")
    parser.add_argument(
        "--reap", action="store_true", help="end all pods below --root and exit; needs no API server"
    )
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=_REAP_GRACE_SECONDS,
        help="with --reap: from SIGTERM to SIGKILL (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
