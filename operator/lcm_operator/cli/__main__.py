"""The entry point of `lcm` (`python -m lcm_operator.cli`)."""

import argparse
import sys

_LONGEST_MARGIN = 31_536_000


def main() -> int:
    """Run the command that the arguments name, and return its exit code."""
    parser = argparse.ArgumentParser(prog="lcm")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    plan = commands.add_parser("plan", help="work on plans").add_subparsers(metavar="COMMAND", required=True)
    _add_check(plan.add_parser("check", help="report every error in the plans and trials of files"))
    _add_import(
        commands.add_parser("import", help="schedule here what a running Lifecycle Manager has scheduled")
    )
    given = parser.parse_args()
    code: int = given.run(given)
    return code


def _add_check(command: argparse.ArgumentParser) -> None:
    files = "YAML or JSON with TrialPlans and Trials, a folder, or - for stdin"
    command.add_argument("files", metavar="FILE", nargs="+", help=files)
    command.add_argument("--strict", action="store_true", help="exit with 1 for warnings as well")
    command.add_argument(
        "--cluster", action="store_true", help="ask a cluster as well: a dry run, and the objects referred to"
    )
    _add_cluster(command, "of the manifests without one")
    command.set_defaults(run=_check)


def _add_cluster(command: argparse.ArgumentParser, namespace: str) -> None:
    command.add_argument("--kubeconfig", metavar="FILE", help="of the cluster (default: KUBECONFIG)")
    command.add_argument("--context", help="of the kubeconfig (default: the current one)")
    command.add_argument("-n", "--namespace", help=f"{namespace} (default: that of the context)")


def _check(given: argparse.Namespace) -> int:
    from lcm_operator.cli import plan_check  # noqa: PLC0415 - other commands need no schemas

    return plan_check.run_command(given)


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--from", dest="url", metavar="URL", required=True, help="its address: http://lcm:5000"
    )
    command.add_argument("--key-file", metavar="FILE", help="the old service's API key; - is stdin")
    command.add_argument(
        "--ca-file", metavar="FILE", help="certificates to verify it against (default: the system's)"
    )
    _add_cluster(command, "for the Trials")
    command.add_argument("--plan", default="default", help="the TrialPlan of the Trials (default: default)")
    command.add_argument(
        "--registry", metavar="NAME", help="take start times from this TrialRegistry from now on"
    )
    command.add_argument(
        "--timezone", metavar="ZONE", help="the old service's, where its page leaves it open"
    )
    command.add_argument(
        "--margin", type=_seconds, default=300, metavar="SECONDS", help="leave what starts sooner"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="change nothing, and print what would be done"
    )
    command.add_argument(
        "-o", dest="output", choices=("table", "yaml"), default="table", help="yaml: manifests"
    )
    mode = command.add_mutually_exclusive_group()
    mode.add_argument(
        "--take-over", action="store_true", help="remove each trial there, then let it start here"
    )
    mode.add_argument(
        "--resume", action="store_true", help="let imported trials start that are no longer there"
    )
    command.add_argument(
        "--stopped", action="store_true", help="with --resume: the old service is stopped for good"
    )
    command.set_defaults(run=_import)


def _import(given: argparse.Namespace) -> int:
    from lcm_operator.cli import import_command  # noqa: PLC0415 - other commands need no client of a cluster

    return import_command.run(given)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _LONGEST_MARGIN:
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0 to {_LONGEST_MARGIN}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
