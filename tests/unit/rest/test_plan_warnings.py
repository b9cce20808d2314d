"""The log warns if the plan of trials that REST schedules is missing or does nothing."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from tests.unit.rest.harness import run
from tests.unit.rest.kube import Kube

from lcm_operator.kube.clock import NodeClock
from lcm_operator.rest.cache.feed import Feed
from lcm_operator.rest.cache.view import View
from lcm_operator.rest.services.scheduling import Scheduler
from lcm_operator.rest.wording import LEVELS

SLEEP = {"name": "nap", "sleep": {"seconds": 1}}
FLY = {"name": "fly", "exec": {"command": ["fly"]}}
SLEEPS = "trials scheduled by REST do nothing: their TrialPlan only sleeps namespace=lab plan=day"


async def followed(kube, view, caplog, text):
    """Follow until the log has a text."""
    feed = Feed(kube, view, "lab", registry="default", plan="day", clock=NodeClock())
    task = asyncio.create_task(feed.run())
    try:
        async with asyncio.timeout(10):
            while text not in caplog.text:  # noqa: ASYNC110 - a log has no event to wait for
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("plan", "text", "missing"),
    [
        pytest.param(None, "TrialPlan not found namespace=lab plan=day", True, id="missing"),
        pytest.param([SLEEP, SLEEP], SLEEPS, False, id="only sleeps"),
        pytest.param([SLEEP, FLY], "TrialPlan of trials scheduled by REST found", False, id="does something"),
    ],
)
def test_the_log_says_what_scheduled_trials_would_do(caplog, plan, text, missing):
    kube, view = Kube(), View()
    if plan is not None:
        kube.put("trialplans", "day", metadata={"namespace": "lab"}, spec={"activities": plan})

    with caplog.at_level(logging.INFO, "lcm_operator"):
        asyncio.run(followed(kube, view, caplog, text))

    assert view.plan_is_missing is missing


@pytest.mark.parametrize("missing", [True, False])
def test_scheduling_without_a_plan_succeeds_and_is_logged(caplog, missing):
    view = View()
    view.plan_is_missing = missing
    scheduler = Scheduler(
        Kube(),
        view,
        SimpleNamespace(name="default"),
        LEVELS["0.1.1"],
        namespace="lab",
        plan="day",
        now=lambda: datetime.now(UTC),
    )

    run(scheduler.schedule("a", (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")))

    assert view.scheduling("a") is not None
    warned = "scheduled trial cannot start: TrialPlan not found namespace=lab trial=a plan=day" in caplog.text
    assert warned is missing
