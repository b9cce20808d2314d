"""`python -m lcm_operator.rest`: the sidecar. With `hash-key`: make a line of the file of API keys."""

import argparse
import logging
import sys

from lcm_operator import process
from lcm_operator.rest import settings
from lcm_operator.rest.composition import run
from lcm_operator.rest.keys import Scope, line_of

_GRACE_SECONDS = 15.0
"""Requests under way have 10 s."""


def main() -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lcm_operator.rest", description="The REST sidecar.")
    commands = parser.add_subparsers(dest="command")
    hash_key = commands.add_parser("hash-key", help="read a key from standard input, print its line")
    hash_key.add_argument("--scope", choices=[scope.value for scope in Scope], default=Scope.OPERATE.value)
    hash_key.add_argument("--name", default="default", help="for logs; no blanks")
    arguments = parser.parse_args()
    if arguments.command == "hash-key":
        return _hash_key(Scope(arguments.scope), arguments.name)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return process.run(_serve, grace_seconds=_GRACE_SECONDS)


async def _serve(stopping: process.Stopping) -> int:
    try:
        await run(settings.read(), stopping.requested)
    except settings.BadSettings as error:
        print(f"lcm-rest: {error}", file=sys.stderr)  # noqa: T201 - before there is a log
        return 2
    return 0


def _hash_key(scope: Scope, name: str) -> int:
    key = sys.stdin.readline().strip()
    if not key:
        print("lcm-rest: no key on standard input", file=sys.stderr)  # noqa: T201 - a command
        return 2
    print(line_of(key, scope, name))  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
