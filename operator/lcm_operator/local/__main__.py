"""`python -m lcm_operator.local up | down | run | programs`: what the Makefile calls.

The only module of `local` that speaks to the person at the terminal, but for the demo that `run` plays.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from lcm_operator.local.cluster import Cluster
from lcm_operator.local.components import OPERATORS, STANDARD
from lcm_operator.local.demo import Demo
from lcm_operator.local.failure import LocalClusterError
from lcm_operator.local.guard import end_with_make, guarded
from lcm_operator.local.layout import REPOSITORY
from lcm_operator.local.programs import find_kubectl, find_programs

NEXT = """
It all stays up until you press Ctrl-C. Meanwhile, in another terminal:

  export KUBECONFIG={kubeconfig} PATH={bin}:$PATH
  kubectl get lcm                          # trials, their engines, plans
  kubectl describe trial demo              # conditions and events
  kubectl get trialengine demo -o yaml     # the checkpoint: status.activities
  kubectl delete trial demo

  # a trial of your own, in half a minute
  sed -e "s/2030-01-01T09:00:00Z/$(date -u -d '+30 seconds' +%FT%TZ)/" -e "s/name: demo/name: mine/" \\
    examples/trial-demo.yaml | kubectl apply -f - && kubectl get trials --watch

Logs are in {log}, those of the engines in {log}/pods.
"""
EXAMPLES = [REPOSITORY / "examples" / "plan-default.yaml"]


def _progress() -> Callable[[str], None]:
    began = time.monotonic()

    def tell(message: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {message}", flush=True)

    return tell


def _up(cluster: Cluster, context: str | None, replicas: int = 1) -> None:
    operators = OPERATORS[:replicas]
    if context:
        started = cluster.up(find_kubectl(), operators, examples=EXAMPLES, context=context)
    else:
        components = tuple(dict.fromkeys((*STANDARD, *operators)))
        started = cluster.up(find_programs(cluster.progress), components, examples=EXAMPLES)
    cluster.progress("ready" if started else "everything was running already")


def _run(cluster: Cluster, context: str | None, *, once: bool) -> None:
    console = Console()
    end_with_make()
    # What `make up` has started stays up; what is started here goes with us.
    with contextlib.nullcontext() if cluster.layout.state else guarded(cluster):
        _up(cluster, context)
        asyncio.run(Demo(cluster, console).play())
        if once or not console.is_terminal:
            return
        print(NEXT.format(kubeconfig=cluster.kubeconfig, bin=cluster.bin_dir, log=cluster.layout.log))
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
        cluster.progress("stopping")


def _down(cluster: Cluster) -> None:
    was_there = cluster.down()
    cluster.progress("stopped" if was_there else "nothing was running")


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lcm_operator.local", description=__doc__)
    parser.add_argument(
        "--directory", type=Path, default=REPOSITORY / ".local", help="where the cluster lies"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start what doesn't run, and wait until all is ready")
    up.add_argument("--replicas", type=int, choices=(1, 2), default=1, help="how many operators")
    run = commands.add_parser("run", help="up, play the demo, stay until Ctrl-C, down")
    run.add_argument("--once", action="store_true", help="leave after the demo")
    for command in (up, run):
        command.add_argument("--context", help="a kube context of yours, instead of a control plane here")
    commands.add_parser("down", help="stop everything and forget the data")
    commands.add_parser("programs", help="build the control plane's programs")
    asked = parser.parse_args(arguments)
    cluster = Cluster(asked.directory.absolute(), _progress())
    try:
        match asked.command:
            case "up":
                _up(cluster, asked.context, asked.replicas)
                print(f"\nexport KUBECONFIG={cluster.kubeconfig} PATH={cluster.bin_dir}:$PATH")
            case "run":
                _run(cluster, asked.context, once=asked.once)
            case "down":
                _down(cluster)
            case "programs":
                find_programs(cluster.progress)
    except LocalClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `make down` stops what was started", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
