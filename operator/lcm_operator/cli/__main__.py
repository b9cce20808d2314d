"""The entry point of `lcm` (`python -m lcm_operator.cli`)."""

import argparse
import sys

from lcm_operator.cli import plan_check


def main() -> int:
    """Run the command that the arguments name, and return its exit code."""
    parser = argparse.ArgumentParser(prog="lcm")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    plan = commands.add_parser("plan", help="work on plans").add_subparsers(metavar="COMMAND", required=True)
    check = plan.add_parser("check", help="report every error in the plans of a file")
    check.add_argument("file", metavar="FILE", help="YAML with TrialPlans and Trials; - is stdin")
    check.set_defaults(run=lambda given: plan_check.run(given.file))
    given = parser.parse_args()
    code: int = given.run(given)
    return code


if __name__ == "__main__":
    sys.exit(main())
