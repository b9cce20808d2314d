"""`python -m lcm_operator.controllers.uninstall`: may the operator be removed? The chart's pre-delete hook.

Status 1 while engines run: nobody would restore them or record their end. A failed one doesn't count, as it
waits for a person; nor do Trials that have not started. One that can't be parsed counts. A notice names
failed ones that owe their `finally`: they can't be deleted without an operator.
"""

import asyncio
import os
import sys
from collections.abc import Iterable

from lcm_operator import process
from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.controllers.settings import Settings, read
from lcm_operator.domain.release import is_held, is_owed
from lcm_operator.kube.access import from_settings
from lcm_operator.kube.client import Json
from lcm_operator.kube.resources import TRIAL_ENGINES
from lcm_operator.kube.session import pooled

_SHOWN = 10


def may_run(raw: Json) -> bool:
    """Return whether a TrialEngine has started, perhaps between two attempts now, and has no outcome."""
    try:
        status = parse(raw, TrialEngine).status
    except MalformedError:
        return True
    settled = conditions.decided(status.conditions, reasons.SUCCEEDED) is not None
    return status.attempt > 0 and (not settled or status.is_giving_up)


def owes(raw: Json) -> bool:
    """Return whether a TrialEngine has ended, but is held until its `finally` has run."""
    try:
        engine = parse(raw, TrialEngine)
    except MalformedError:
        return False
    return not may_run(raw) and is_held(engine) and is_owed(engine)


def notice(engines: Iterable[Json]) -> str:
    """Return a notice before the operator is removed; empty if there is none."""
    held = _listed(found for found in engines if owes(found))
    if not held:
        return ""
    return (
        f"without an operator these TrialEngines cannot be deleted: their `finally` has not run: {held}. "
        "Delete their Trials first, or free each one as its condition Released says"
    )


def refusal(engines: Iterable[Json]) -> str:
    """Return why the operator must stay; empty if it may be removed."""
    running = _listed(found for found in engines if may_run(found))
    return f"engines are running; wait until they end, or delete their Trials: {running}" if running else ""


def _listed(engines: Iterable[Json]) -> str:
    named = [f"{found['metadata']['namespace']}/{found['metadata']['name']}" for found in engines]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return f"{', '.join(named[:_SHOWN])}{more}"


async def look(settings: Settings) -> str:
    """Return why the operator must stay, and print the notice. Raises ApiError."""
    access = from_settings(settings)
    namespaces = settings.namespaces(settings.lease_namespace or access.namespace)
    async with pooled(access, namespaces=namespaces) as client:
        engines, _ = await client.list(TRIAL_ENGINES)
        if told := notice(engines):
            sys.stderr.write(f"{told}\n")
        return refusal(engines)


def main() -> int:
    """Check; return the exit status."""
    reason = asyncio.run(look(process.prepare("lcm-operator", read(os.environ))))
    if reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
