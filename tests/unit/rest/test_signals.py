"""Signals: stored before they are acknowledged, in the order of the writes, and refused in the old words."""

import asyncio

import pytest
from tests.unit.rest.engines import FINISHED, NOT_READY, NOW, UNKNOWN, Harness, consumed, signals
from tests.unit.rest.harness import run

from lcm_operator.kube.errors import ConflictError
from lcm_operator.plan.signals import CALLBACKS
from lcm_operator.rest.auth.tokens import CallbackTokens
from lcm_operator.rest.state import SidecarState


@pytest.fixture
def harness():
    return Harness()


@pytest.mark.parametrize(
    ("send", "name"),
    [
        pytest.param(lambda to: to.active("a"), "active", id="active"),
        pytest.param(lambda to: to.finish("a"), "finish", id="finish"),
        *(pytest.param(lambda to, n=n: to.callback("a", n), n, id=f"callback {n}") for n in CALLBACKS),
    ],
)
def test_a_signal_is_stored_on_the_engine_once_it_is_acknowledged(harness, send, name):
    harness.engine(values={"kpiLabel": "Idle"}, signals=signals(["slice"]))

    run(send(harness.signals))

    first, second = harness.stored
    assert first == signals(["slice"])[0]
    assert (second["name"], second["receivedTime"]) == (name, "2026-11-24T10:00:00Z")
    assert len(second["id"]) == 36
    assert harness.kube.objects["trialengines", "a"]["status"]["values"] == {"kpiLabel": "Idle"}


def test_callback_reads_its_engine_once(harness):
    harness.engine()
    tokens = CallbackTokens(harness.kube, "lab", SidecarState(harness.kube, "lab"), lambda: NOW)
    token = run(tokens.issue("a"))
    harness.kube.reads.clear()

    partner = run(tokens.partner("a", (token,)))
    run(harness.signals.callback("a", "slice", partner.engine))

    assert harness.kube.reads == [("trialengines", "a")]
    assert [signal["name"] for signal in harness.stored] == ["slice"]


def test_signal_is_appended_to_what_others_wrote_since_the_engine_was_read(harness):
    read = harness.engine()
    harness.engine(signals=signals(["slice"]))

    run(harness.signals.callback("a", "cloudvnfboarding", read))

    assert [signal["name"] for signal in harness.stored] == ["slice", "cloudvnfboarding"]


def test_engine_that_took_the_place_of_the_one_read_gets_no_signal(harness):
    read = harness.engine()
    harness.kube.drop("trialengines", "a")
    harness.engine(trial_id="other")

    assert harness.refusal("callback", "slice", read) == UNKNOWN


def test_callbacks_that_wait_for_another_read_the_engine_again(harness):
    read = harness.engine()

    async def scenario():
        await asyncio.gather(*(harness.signals.callback("a", name, read) for name in CALLBACKS))

    run(scenario())
    assert [signal["name"] for signal in harness.stored] == list(CALLBACKS)
    assert harness.kube.reads == [("trialengines", "a")] * (len(CALLBACKS) - 1)


def test_a_repeated_callback_is_another_signal(harness):
    harness.engine()

    run(harness.signals.callback("a", "slice"))
    run(harness.signals.callback("a", "slice"))

    assert [signal["name"] for signal in harness.stored] == ["slice", "slice"]
    assert len({signal["id"] for signal in harness.stored}) == 2


def test_callbacks_to_two_sidecars_at_once_are_all_stored(harness):
    harness.engine()
    sidecars = [harness.sidecar() for _ in range(2)]

    async def scenario():
        await asyncio.gather(*(s.callback("a", name) for s in sidecars for name in CALLBACKS))

    run(scenario())
    assert sorted(signal["name"] for signal in harness.stored) == sorted(CALLBACKS * 2)


def test_an_engine_that_saves_its_checkpoint_meanwhile_costs_no_signal(harness):
    harness.engine()
    harness.kube.before_write = [
        lambda: harness.engine(signals=signals(["slice"]), consumedSignals=[]),
        lambda: harness.engine(signals=signals(["slice"]), consumedSignals=consumed(signals(["slice"]))),
    ]

    run(harness.signals.finish("a"))

    assert [signal["name"] for signal in harness.stored] == ["slice", "finish"]
    assert harness.kube.objects["trialengines", "a"]["status"]["consumedSignals"]


def test_an_engine_that_ends_meanwhile_takes_no_signal(harness):
    harness.engine()
    harness.kube.before_write = [lambda: harness.engine(succeeded=FINISHED)]

    assert harness.refusal("callback", "slice") == NOT_READY
    assert harness.stored == []


def test_an_engine_that_is_deleted_meanwhile_takes_no_signal(harness):
    harness.engine()
    harness.kube.before_write = [lambda: harness.kube.drop("trialengines", "a")]

    assert harness.refusal("finish") == UNKNOWN


def test_an_engine_that_never_stops_changing_is_reported_as_such(harness):
    harness.engine()
    harness.kube.before_write = [harness.engine] * 100

    with pytest.raises(ConflictError, match="TrialEngine a is being changed too often"):
        run(harness.signals.finish("a"))
    assert harness.stored == []
