"""Engines that are being removed."""

from dataclasses import replace

from tests.unit.domain.builders import (
    at,
    deleting,
    pod,
    written,
)

from lcm_operator.domain.decide import decide


def going(before, **seen):
    """Return the snapshot after its TrialEngine was deleted."""
    assert before.engine is not None
    return replace(before, engine=deleting(before.engine), **seen)


def ended_pod(before, attempt=1):
    return replace(before, pod=pod(attempt, ended=True, exit_code=0), engine_read_after_end=True)


def stopping(before, now=5.0):
    """Return the snapshot after its TrialEngine was deleted and asked to stop."""
    stop_requested = going(before)
    return written(stop_requested, decide(stop_requested, at(now)))
