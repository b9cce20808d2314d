"""`python -m lcm_operator.controllers.uninstall`: whether the operator may go; the chart's pre-delete hook.

Status 1 while engines run: nobody would restore them any more, nor take note of their end. One that has
failed doesn't count, it waits for a person; nor do Trials that are yet to start.
"""

import asyncio
import sys
from collections.abc import Sequence

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import parse
from lcm_operator.controllers.settings import Settings, read
from lcm_operator.kube.access import from_settings
from lcm_operator.kube.client import Client
from lcm_operator.kube.resources import TRIAL_ENGINES
from lcm_operator.kube.session import pooled

_SHOWN = 10


def is_running(engine: TrialEngine) -> bool:
    """Return whether an engine was granted and has no outcome."""
    outcome = conditions.decided(engine.status.conditions, reasons.SUCCEEDED)
    return engine.status.pod_ref is not None and outcome is None


def refusal(engines: Sequence[TrialEngine]) -> str:
    """Return why the operator has to stay; empty if it may go."""
    running = [f"{found.metadata.namespace}/{found.metadata.name}" for found in engines if is_running(found)]
    if not running:
        return ""
    more = f" and {len(running) - _SHOWN} more" if len(running) > _SHOWN else ""
    return f"engines run, wait for their end or remove them: {', '.join(running[:_SHOWN])}{more}"


async def look(settings: Settings) -> str:
    """Return why the operator has to stay. Raises ApiError."""
    access = from_settings(settings.kubeconfig, settings.context)
    namespaces = settings.namespaces(settings.lease_namespace or access.namespace)
    async with pooled(access, namespaces=namespaces) as client:
        return refusal(await _engines(client))


async def _engines(client: Client) -> list[TrialEngine]:
    return [parse(raw, TrialEngine) for raw in (await client.list(TRIAL_ENGINES))[0]]


def main() -> int:
    """Look; return the exit status."""
    reason = asyncio.run(look(read()))
    if reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
