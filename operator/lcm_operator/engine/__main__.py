"""The engine's process: `python -m lcm_operator.engine` in the container `engine` of an engine pod.

The composition root: reads the settings, waits for the grant, runs the plan, exits with a code of
docs/engine.md.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC
from typing import Any

from lcm_operator import logs, process
from lcm_operator.api.engine import TrialEngine
from lcm_operator.engine.beats import Beats
from lcm_operator.engine.checkpoint import Checkpoint, UnknownVersionError
from lcm_operator.engine.follower import Follower
from lcm_operator.engine.halt import Heeds, Wishes
from lcm_operator.engine.outcome import Ending, EngineEnded, Report
from lcm_operator.engine.performer import Means, Performer
from lcm_operator.engine.redactor import Redactor
from lcm_operator.engine.runner import Runner
from lcm_operator.engine.settings import Settings, read
from lcm_operator.engine.signals import Inbox
from lcm_operator.engine.steps import Steps
from lcm_operator.engine.store import Store
from lcm_operator.kube.access import in_cluster
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.wired import lean
from lcm_operator.plan.validation import unsupported
from lcm_operator.settings import SettingsError, print_faults

log = logs.get("lcm_operator.engine")
_LONGEST_LAST_MESSAGE = 4096
_CLOCK = NodeClock()
_Start = Callable[[Coroutine[Any, Any, None]], None]


def main() -> int:
    """Run the engine and return its exit code."""
    reading = read(os.environ)
    redactor = Redactor(reading.settings.secrets.values())
    logs.configure(reading.settings, stream=sys.stdout, mask=redactor.tree)
    logs.report_unknown(reading)
    try:
        # Never closed: that would wait for threads, and one may hang in the look-up of a name.
        report = asyncio.Runner().run(_engine(reading.checked(), redactor))
    except SettingsError as error:
        print_faults("lcm-engine", map(redactor.text, error.faults))
        report = Report(Ending.PLAN_REFUSED, str(error))
    except Exception as error:
        log.exception("engine crashed")
        report = Report(Ending.CRASHED, f"{type(error).__name__}: {error}")
    log.info("engine ends", ending=report.ending.name, message=report.message or None)
    if (file := reading.settings.termination_log) and report.message:
        file.write_bytes(redactor.text(report.message).encode()[:_LONGEST_LAST_MESSAGE])
    return report.ending


async def _engine(settings: Settings, redactor: Redactor) -> Report:
    wishes = Wishes(settings.pod_uid)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, wishes.end.tell, Report(Ending.TERMINATED, f"{number.name} received"))
    async with (
        lean(in_cluster(settings.service_account_directory), connections=4) as client,
        asyncio.TaskGroup() as group,
    ):
        beside: list[asyncio.Task[None]] = []

        def start(work: Coroutine[Any, Any, None]) -> None:
            beside.append(group.create_task(work))

        follower = Follower(client, settings.trial_engine, settings.pod_uid, _CLOCK.now)
        start(follower.follow())
        report = await _attempt(settings, redactor, client, follower, wishes, start)
        for task in beside:
            task.cancel()
    return report


async def _attempt(
    settings: Settings,
    redactor: Redactor,
    client: Client,
    follower: Follower,
    wishes: Wishes,
    start: _Start,
) -> Report:
    """Wait for the grant and run the plan."""
    try:
        engine = await wishes.end.unless(follower.granted())
        if engine is None:
            return wishes.end.report or Report(Ending.TERMINATED)
        log.info("granted", trial=engine.spec.trial_id, attempt=engine.status.attempt)
        if faults := unsupported(engine.spec):
            why = "; ".join(map(str, faults))
            return Report(Ending.PLAN_REFUSED, f"this engine can't run the plan: {why}")
        return await _runner(settings, redactor, client, follower, wishes, engine, start=start).run()
    except EngineEnded as ended:
        return Report(ended.ending, str(ended))
    except (SettingsError, UnknownVersionError) as error:
        return Report(Ending.PLAN_REFUSED, str(error))


def _runner(
    settings: Settings,
    redactor: Redactor,
    client: Client,
    follower: Follower,
    wishes: Wishes,
    engine: TrialEngine,
    *,
    start: _Start,
) -> Runner:
    """Return what runs the plan of a TrialEngine that was granted to this pod.

    From here on the engine beats, and heeds what the TrialEngine says.
    """
    spec = engine.spec
    inbox = Inbox(engine, follower.look)

    def heed(version: TrialEngine) -> None:
        wishes.heed(version)
        inbox.heed(version)

    heed(engine)
    names = [activity.name for activity in spec.all_activities]
    timeout = spec.engine.heartbeat_timeout_seconds
    beats = Beats(client, settings.pod_name, settings.pod_uid, timeout, follower.still_granted, _CLOCK)
    means = Means(
        engine_uid=engine.metadata.uid,
        start_time=spec.start_time,
        now=_CLOCK.now,
        may_act=beats.recent,
        lost=beats.lost,
        redactor=redactor,
        environment=settings.environment,
        rest_token=settings.rest_token,
    )
    steps = Steps(
        Checkpoint.from_storage(engine.status, names),
        store=Store(client, engine, settings.pod_uid, heed),
        inbox=inbox,
        perform=Performer(means),
        mask=redactor.text,
        now=_CLOCK.now,
        end=wishes.end,
        facts=_facts(engine, settings),
    )
    start(_pass_on(follower, wishes, heed))
    start(beats.run())
    return Runner(spec, steps, wishes, _CLOCK.now)


async def _pass_on(follower: Follower, wishes: Wishes, heed: Heeds) -> None:
    wishes.end.tell(Report(Ending.WITHDRAWN, await follower.pass_on(heed)))


def _facts(engine: TrialEngine, settings: Settings) -> dict[str, Any]:
    """Return what expressions see and what does not change during an attempt."""
    owners = engine.metadata.owner_references
    return {
        "parameters": settings.parameters(engine.spec.parameters),
        "trial": {
            "id": engine.spec.trial_id,
            "name": next((owner.name for owner in owners if owner.kind == "Trial"), engine.metadata.name),
            "namespace": engine.metadata.namespace,
            "startTime": engine.spec.start_time.astimezone(UTC),
            "attempt": engine.status.attempt,
        },
    }


if __name__ == "__main__":
    process.leave(main())
