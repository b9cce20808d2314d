"""Engines whose plan was repaired, and requests to take it."""

from dataclasses import replace

from tests.unit.domain.builders import (
    asking,
    at,
    edited,
    ended,
    nap,
    with_plan_read,
    written,
)

from lcm_operator.domain.decide import decide

HALF = {"one": "Succeeded", "two": "Failed"}
MENDED = [nap("one"), nap("mended"), nap("three")]


def repaired(before, annotations=None, **spec):
    """Return the snapshot after a person changed the Trial and asked for a restore with its plan."""
    asked = asking(before, **(annotations or {"restore": "r1", "restore_plan": "r1"}))
    (owner,) = asked.trials
    changed = edited(owner, annotations=owner.metadata.annotations, **(spec or {"activities": MENDED}))
    return replace(asked, trials=(changed,))


def failed_and_repaired(annotations=None, **spec):
    return repaired(ended(**HALF), annotations, **spec)


def taken_over():
    """Return the snapshot after the first write: nothing answered, the spec as it was."""
    before = with_plan_read(failed_and_repaired(), at(20))
    begun = written(before, decide(before, at(20)))
    assert begun.engine is not None
    return replace(begun, pod=None)


def taken():
    """Return the snapshot after the second write: the spec is replaced."""
    before = with_plan_read(taken_over(), at(21))
    return written(before, decide(before, at(21)))


def answer(status):
    (taken_request,) = status.trial_requests
    return taken_request.result, taken_request.message
