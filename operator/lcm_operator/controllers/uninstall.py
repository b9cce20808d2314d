"""`python -m lcm_operator.controllers.uninstall`: whether the operator may go; the chart's pre-delete hook.

Status 1 while engines run: nobody would restore them any more, nor take note of their end. One that has
failed doesn't count, it waits for a person; nor do Trials that are yet to start. One that can't be read does.
"""

import asyncio
import os
import sys
from collections.abc import Iterable

from lcm_operator import process
from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import Malformed, parse
from lcm_operator.controllers.settings import Settings, read
from lcm_operator.kube.access import from_settings
from lcm_operator.kube.client import Json
from lcm_operator.kube.resources import TRIAL_ENGINES
from lcm_operator.kube.session import pooled

_SHOWN = 10


def may_run(raw: Json) -> bool:
    """Return whether a TrialEngine was begun, be it between two attempts now, and has no outcome."""
    try:
        status = parse(raw, TrialEngine).status
    except Malformed:
        return True
    return status.attempt > 0 and conditions.decided(status.conditions, reasons.SUCCEEDED) is None


def refusal(engines: Iterable[Json]) -> str:
    """Return why the operator has to stay; empty if it may go."""
    running = [
        f"{found['metadata']['namespace']}/{found['metadata']['name']}" for found in engines if may_run(found)
    ]
    if not running:
        return ""
    more = f" and {len(running) - _SHOWN} more" if len(running) > _SHOWN else ""
    return f"engines run, wait for their end or remove them: {', '.join(running[:_SHOWN])}{more}"


async def look(settings: Settings) -> str:
    """Return why the operator has to stay. Raises ApiError."""
    access = from_settings(settings.kubeconfig, settings.context)
    namespaces = settings.namespaces(settings.lease_namespace or access.namespace)
    async with pooled(access, namespaces=namespaces) as client:
        engines, _ = await client.list(TRIAL_ENGINES)
        return refusal(engines)


def main() -> int:
    """Look; return the exit status."""
    reason = asyncio.run(look(process.prepare("lcm-operator", read(os.environ))))
    if reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
