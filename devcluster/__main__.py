"""`python -m devcluster up | down | run | programs`: what the Makefile calls.

The only module of `local` that speaks to the person at the terminal, but for the demo that `run` plays.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from devcluster import settings
from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import OPERATORS, SERVICES, STANDARD
from devcluster.cluster.guard import end_with_make, guarded
from devcluster.cluster.layout import REPOSITORY
from devcluster.cluster.ports import CONTRACT
from devcluster.cluster.services import REST, USUAL_PORTS, address
from devcluster.demo.flight import Flight
from devcluster.demo.restore import Demo
from devcluster.demo.show import Show
from devcluster.failure import LocalClusterError
from devcluster.programs.kubernetes import find_kubectl, find_programs

NEXT = """
It all stays up until you press Ctrl-C. Meanwhile, in another terminal:

  export KUBECONFIG={kubeconfig} PATH={bin}:$PATH
  kubectl get lcm                          # trials, their engines, plans
  kubectl describe trial {name}            # conditions and events
  kubectl get trialengine {name} -o yaml   # the checkpoint: status.activities
  kubectl delete trial {name}

  # a trial of your own, in half a minute
  sed -e "s/2030-01-01T09:00:00Z/$(date -u -d '+30 seconds' +%FT%TZ)/" -e "s/name: demo/name: mine/" \\
    examples/trial-demo.yaml | kubectl apply -f - && kubectl get trials --watch

Logs are in {log}, those of the engines in {log}/pods.
"""
REACHED = 'curl -H "Authorization: $(cat {key})" http://{rest}/status'
LARGEST_PORT = 65535
PLAN = REPOSITORY / "examples" / "plan-demo.yaml"
LOCAL_REGISTRY = REPOSITORY / "examples" / "registry-default.yaml"
# What `run` can play.
SHOWS: Mapping[str, type[Show]] = {"demo": Demo, "5gdrones": Flight}


def _progress() -> Callable[[str], None]:
    began = time.monotonic()

    def report(message: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {message}", flush=True)

    return report


def _up(cluster: Cluster, asked: argparse.Namespace) -> None:
    chosen = _chosen()
    operators = OPERATORS[: getattr(asked, "replicas", 1)]
    if asked.context:
        started = cluster.up(find_kubectl(), operators, examples=[PLAN], context=asked.context)
    else:
        started = cluster.up(
            find_programs(cluster.progress),
            tuple(dict.fromkeys((*STANDARD, *operators, *SERVICES))),
            examples=[PLAN, LOCAL_REGISTRY],
            wanted_ports=_ports(cluster, asked),
            rest=chosen.rest,
        )
    cluster.progress("ready" if started else "everything was running already")


def _ports(cluster: Cluster, asked: argparse.Namespace) -> dict[str, int]:
    """Return the ports that were asked for, else the settled ones, else the usual ones."""
    settled = cluster.layout.state.ports if cluster.layout.state else {}
    given: dict[str, int | None] = {name: getattr(asked, f"{name}_port") for name in CONTRACT}
    return {
        name: settled.get(name, USUAL_PORTS[name]) if port is None else port for name, port in given.items()
    }


def _chosen() -> settings.Settings:
    reading = settings.read(os.environ)
    if reading.faults:
        raise LocalClusterError("\n".join(reading.faults))
    for name, nearest in reading.unknown.items():
        hint = f"; did you mean {nearest}?" if nearest else ""
        print(f"warning: {name} is not a setting of the local cluster{hint}", file=sys.stderr)
    return reading.settings


def _run(cluster: Cluster, asked: argparse.Namespace) -> None:
    if asked.context and asked.plan == "5gdrones":
        raise LocalClusterError(
            "--plan 5gdrones needs the services of the local cluster: leave out --context"
        )
    console = Console()
    end_with_make()
    # Components that `make up` started stay up; those started here end with this process.
    with contextlib.nullcontext() if cluster.layout.state else guarded(cluster):
        _up(cluster, asked)
        show = SHOWS[asked.plan](cluster, console)
        asyncio.run(show.play())
        if asked.once or not console.is_terminal:
            return
        layout = cluster.layout
        print(NEXT.format(name=show.name, kubeconfig=cluster.kubeconfig, bin=cluster.bin_dir, log=layout.log))
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
        cluster.progress("stopping")


def _down(cluster: Cluster) -> None:
    was_there = cluster.down()
    cluster.progress("stopped" if was_there else "nothing was running")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= LARGEST_PORT:
        raise ValueError
    return port


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m devcluster", description=__doc__)
    parser.add_argument(
        "--directory", type=Path, default=REPOSITORY / ".local", help="directory of the cluster"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start all that is not running and wait until it is ready")
    up.add_argument("--replicas", type=int, choices=(1, 2), default=1, help="number of operator replicas")
    run = commands.add_parser("run", help="up, run a demo, stay until Ctrl-C, down")
    run.add_argument("--plan", choices=SHOWS, default="demo", help="the demo (default), or the plan 5gdrones")
    run.add_argument("--once", action="store_true", help="exit after the demo")
    for command in (up, run):
        command.add_argument("--context", help="a context of your kubeconfig, instead of a local cluster")
        for name in CONTRACT:
            text = f"port of {name}; default {USUAL_PORTS[name]}, 0: any free port"
            command.add_argument(f"--{name}-port", type=_port, metavar="PORT", help=text)
    commands.add_parser("down", help="stop everything and delete the data")
    commands.add_parser("programs", help="build the control plane's programs")
    asked = parser.parse_args(arguments)
    cluster = Cluster(asked.directory.absolute(), _progress())
    try:
        match asked.command:
            case "up":
                _up(cluster, asked)
                print(f"\nexport KUBECONFIG={cluster.kubeconfig} PATH={cluster.bin_dir}:$PATH")
                if not asked.context:
                    print(REACHED.format(rest=address(cluster.layout, REST), key=cluster.layout.api_key))
            case "run":
                _run(cluster, asked)
            case "down":
                _down(cluster)
            case "programs":
                find_programs(cluster.progress)
    except LocalClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run `make down` to stop what was started", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
