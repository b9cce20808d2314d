"""The engine's process: `python -m lcm_operator.engine` in the container `engine` of an engine pod.

The composition root: reads the settings, waits for the grant, runs the plan, and exits with one of the codes
of docs/engine.md.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from datetime import UTC
from functools import partial
from typing import Any

from lcm_operator import logs, process
from lcm_operator.api.engine import TrialEngine
from lcm_operator.engine.checkpoint import Checkpoint, UnknownVersionError
from lcm_operator.engine.checkpoint_store import CheckpointStore
from lcm_operator.engine.grant import attempt_at
from lcm_operator.engine.inbox import Inbox
from lcm_operator.engine.interrupts import Interrupts, Observe
from lcm_operator.engine.lease import LeaseRenewer
from lcm_operator.engine.outcome import Ending, EngineEndedError, Report
from lcm_operator.engine.performer import ActivityContext, Performer
from lcm_operator.engine.redactor import Redactor
from lcm_operator.engine.runner import Runner
from lcm_operator.engine.settings import Settings, read
from lcm_operator.engine.steps import Steps
from lcm_operator.engine.trial_engine import TrialEngineFollower
from lcm_operator.kube.access import in_cluster
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.wired import lean
from lcm_operator.plan.validation import unsupported
from lcm_operator.settings import SettingsError, print_faults

log = logs.get("lcm_operator.engine")
_LONGEST_LAST_MESSAGE = 4096
_CLOCK = NodeClock()


def main() -> int:
    """Run the engine and return its exit code."""
    reading = read(os.environ)
    redactor = Redactor([*reading.settings.secrets.values(), *reading.settings.proxies.secrets()])
    logs.configure(reading.settings, stream=sys.stdout, mask=redactor.tree)
    logs.report_unknown(reading)
    try:
        # Never closed: that would wait for threads, and one may hang in a name look-up.
        report = asyncio.Runner().run(_run(reading.checked(), redactor))
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


async def _run(settings: Settings, redactor: Redactor) -> Report:
    interrupts = Interrupts(settings.pod_uid)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        report = Report(Ending.TERMINATED, f"{number.name} received")
        loop.add_signal_handler(number, interrupts.end.trigger, report)
    async with (
        lean(in_cluster(settings.service_account_directory), connections=4) as client,
        asyncio.TaskGroup() as group,
    ):
        return await Engine(settings, redactor, client, interrupts, group).run()


class Engine:
    """The parts of an engine and its one attempt; `group` holds its background tasks."""

    def __init__(
        self,
        settings: Settings,
        redactor: Redactor,
        client: Client,
        interrupts: Interrupts,
        group: asyncio.TaskGroup,
    ) -> None:
        self._settings = settings
        self._redactor = redactor
        self._client = client
        self._interrupts = interrupts
        self._group = group
        self._background: list[asyncio.Task[None]] = []
        self._follower = TrialEngineFollower(client, settings.trial_engine, settings.pod_uid, _CLOCK.now)

    async def run(self) -> Report:
        """Wait for the grant and run the plan."""
        self._start(self._follower.follow())
        try:
            report = await self._attempt()
        except EngineEndedError as ended:
            report = Report(ended.ending, str(ended))
        except (SettingsError, UnknownVersionError) as error:
            report = Report(Ending.PLAN_REFUSED, str(error))
        for task in self._background:
            task.cancel()
        return report

    async def _attempt(self) -> Report:
        end = self._interrupts.end
        granted = await end.race(self._follower.granted())
        if granted is None:
            return end.report or Report(Ending.TERMINATED)
        log.info("granted", trial=granted.spec.trial_id, attempt=granted.status.attempt)
        if faults := unsupported(granted.spec):
            why = "; ".join(map(str, faults))
            return Report(Ending.PLAN_REFUSED, f"the engine can't run the plan: {why}")
        return await self._runner(granted).run()

    def _runner(self, granted: TrialEngine) -> Runner:
        """Return a runner for the plan of `granted`; start to renew the Lease and to observe changes."""
        settings, spec = self._settings, granted.spec
        inbox = Inbox(granted, self._follower.look)

        def observe(version: TrialEngine) -> None:
            self._interrupts.observe(version)
            inbox.observe(version)

        observe(granted)
        lease = LeaseRenewer(
            self._client,
            settings.pod_name,
            settings.pod_uid,
            spec.engine.heartbeat_timeout_seconds,
            self._follower.still_granted,
            _CLOCK,
        )
        context = ActivityContext(
            engine_uid=granted.metadata.uid,
            start_time=spec.start_time,
            now=_CLOCK.now,
            may_act=lease.renewed,
            lost=lease.lost,
            redactor=self._redactor,
            environment=settings.environment,
            rest_token=settings.rest_token,
            proxies=settings.proxies,
            files=settings.files,
        )
        steps = Steps(
            Checkpoint.from_storage(granted.status, [activity.name for activity in spec.all_activities]),
            save=CheckpointStore(self._client, granted, settings.pod_uid, observe).save,
            receive=inbox.receive,
            perform=Performer(context),
            mask=self._redactor.text,
            now=_CLOCK.now,
            end=self._interrupts.end,
            facts=_facts(granted, settings),
            activities=spec.activities,
        )
        self._start(self._observe(observe))
        self._start(lease.run())
        return Runner(spec, steps, self._interrupts, _CLOCK.now, partial(attempt_at, granted.status))

    async def _observe(self, observe: Observe) -> None:
        self._interrupts.end.trigger(Report(Ending.WITHDRAWN, await self._follower.pass_on(observe)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._background.append(self._group.create_task(work))


def _facts(engine: TrialEngine, settings: Settings) -> dict[str, Any]:
    """Return the variables of expressions that do not change during an attempt."""
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
