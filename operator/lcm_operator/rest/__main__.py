"""`python -m lcm_operator.rest` runs the sidecar; `hash-key` prints a line for the file of API keys."""

import argparse
import os
import sys

from lcm_operator import process
from lcm_operator.rest import settings
from lcm_operator.rest.app import run
from lcm_operator.rest.auth.keys import KeyScope, line_of

_PROGRAM = "lcm-rest"
_GRACE_SECONDS = 15.0
"""Longer than the 10 s that requests in progress get."""


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lcm_operator.rest", description="The REST sidecar.")
    commands = parser.add_subparsers(dest="command")
    hash_key = commands.add_parser("hash-key", help="read a key from standard input, print its line")
    hash_key.add_argument(
        "--scope", choices=[scope.value for scope in KeyScope], default=KeyScope.OPERATE.value
    )
    hash_key.add_argument("--name", default="default", help="shown in logs; without spaces")
    arguments = parser.parse_args()
    if arguments.command == "hash-key":
        return _hash_key(KeyScope(arguments.scope), arguments.name)
    found = process.prepare(_PROGRAM, settings.read(os.environ))
    return process.run(_PROGRAM, lambda stopping: _serve(found, stopping), grace_seconds=_GRACE_SECONDS)


async def _serve(found: settings.Settings, stopping: process.Stopping) -> int:
    await run(found, stopping.requested)
    return 0


def _hash_key(scope: KeyScope, name: str) -> int:
    key = sys.stdin.readline().strip()
    if not key:
        print("lcm-rest: no key on standard input", file=sys.stderr)  # noqa: T201 - a command
        return 2
    print(line_of(key, scope, name))  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
