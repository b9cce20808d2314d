"""Engines with something to release, and what is shown of that."""

from dataclasses import replace

from tests.unit.domain.builders import (
    at,
    nap,
    pod,
    recorded_events,
    settle,
    trial,
    written,
)

from lcm_operator.api import conditions
from lcm_operator.domain.decide import decide
from lcm_operator.domain.release import release_of

RELEASING = trial(activities=[nap("one")], **{"finally": [nap("free"), nap("clean")]})
PASSED = {"one": "Succeeded", "free": "Succeeded", "clean": "Succeeded"}


def released(before):
    """Return status, reason and message of the condition of the current TrialEngine."""
    found = release_of(before.engine)
    assert found is not None
    return found.status, found.reason, found.message


def over(before, now=20.0):
    """Return the snapshot after its pod has ended and all that follows is written."""
    return settle(replace(before, pod=pod(ended=True, exit_code=0), engine_read_after_end=True), at(now))


def on_trial(before, kind):
    found = conditions.find(before.trials[0].status.conditions, kind)
    return None if found is None else (found.status, found.reason)


def recorded(before, now):
    """Return the reasons of the Events until nothing is left to be written."""
    found = []
    for _ in range(10):
        decision = decide(before, now)
        found += [reason for reason, _ in recorded_events(decision)]
        before = written(before, decision)
    return found
