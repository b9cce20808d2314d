"""Signals: stored before they are acknowledged, in the order of the writes, and refused in the old words."""

import asyncio
from datetime import UTC, datetime

import pytest
from tests.unit.rest.harness import run
from tests.unit.rest.kube import TIME, Kube

from lcm_operator.kube.errors import ConflictError
from lcm_operator.plan.signals import CALLBACKS
from lcm_operator.rest.auth.tokens import CallbackTokens
from lcm_operator.rest.cache.records import trial_of
from lcm_operator.rest.cache.view import View
from lcm_operator.rest.http.replies import HttpRefusalError
from lcm_operator.rest.services.signals import KEPT_CONSUMED, MOST_OPEN, Signals
from lcm_operator.rest.state import SidecarState

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
UNKNOWN = (400, "Engine with requested ID does not exist")
NOT_IDLE = (400, "Current label not Idle. Can't mark KPI's as Active.")
NOT_READY = (400, "Executor not ready for state change.")
TOO_MANY = (413, f"Too many signals: {MOST_OPEN} wait to be taken.")

PLAN = [
    {"name": "ask", "stateName": "SliceDeployment", "http": {"url": "http://partner"}},
    {"name": "asked", "wait": {"signal": "slice"}},
    {"name": "nap", "sleep": {"seconds": 1}},
]
REPORT = [{"name": "report", "sleep": {"seconds": 1}}]
RELEASE = [{"name": "release", "stateName": "CloseService", "sleep": {"seconds": 1}}]
LIVES, FAILED, FINISHED = "Unknown", "False", "True"


class World:
    """An API server, and any number of sidecars that have seen nothing of it."""

    def __init__(self):
        self.kube = Kube()
        self.view = View()
        self.signals = self.sidecar()

    def sidecar(self):
        return Signals(self.kube, self.view, "lab", lambda: NOW)

    def engine(self, trial_id="a", *, name="a", succeeded=LIVES, attempt=1, **status):
        condition = {"type": "Succeeded", "status": succeeded, "reason": "Any", "message": ""}
        return self.kube.put(
            "trialengines",
            name,
            metadata={"uid": f"uid-{name}", "namespace": "lab"},
            spec={
                "trialID": trial_id,
                "trialUID": "uid-trial",
                "trialGeneration": 1,
                "startTime": TIME,
                "activities": PLAN,
                "onFailure": REPORT,
                "finally": RELEASE,
            },
            status={"attempt": attempt, "conditions": [condition | {"lastTransitionTime": TIME}]} | status,
        )

    def latch(self):
        """Show the sidecar a Trial whose engine was just started."""
        trial = {
            "metadata": {"name": "a", "uid": "uid-trial", "resourceVersion": "1"},
            "spec": {"trialID": "a", "startTime": TIME},
            "status": {"startedTime": TIME, "engineRef": {"name": "a", "uid": "uid-a"}},
        }
        self.view.put_trial(trial_of(trial))

    @property
    def stored(self):
        return self.kube.objects["trialengines", "a"]["status"].get("signals", [])

    def refusal(self, kind, *arguments):
        with pytest.raises(HttpRefusalError) as told:
            run(getattr(self.signals, kind)("a", *arguments))
        return told.value.status, told.value.detail


@pytest.fixture
def world():
    return World()


def signals(names, prefix="s"):
    return [{"id": f"{prefix}-{n}", "name": name, "receivedTime": TIME} for n, name in enumerate(names)]


def consumed(stored):
    return [{"id": signal["id"], "activity": "asked"} for signal in stored]


@pytest.mark.parametrize(
    ("send", "name"),
    [
        pytest.param(lambda to: to.active("a"), "active", id="active"),
        pytest.param(lambda to: to.finish("a"), "finish", id="finish"),
        *(pytest.param(lambda to, n=n: to.callback("a", n), n, id=f"callback {n}") for n in CALLBACKS),
    ],
)
def test_a_signal_stands_on_the_engine_once_it_is_acknowledged(world, send, name):
    world.engine(values={"kpiLabel": "Idle"}, signals=signals(["slice"]))

    run(send(world.signals))

    first, second = world.stored
    assert first == signals(["slice"])[0]
    assert (second["name"], second["receivedTime"]) == (name, "2026-11-24T10:00:00Z")
    assert len(second["id"]) == 36
    assert world.kube.objects["trialengines", "a"]["status"]["values"] == {"kpiLabel": "Idle"}


def test_callback_reads_its_engine_once(world):
    world.engine()
    tokens = CallbackTokens(world.kube, "lab", SidecarState(world.kube, "lab"), lambda: NOW)
    token = run(tokens.issue("a"))
    world.kube.reads.clear()

    partner = run(tokens.partner("a", (token,)))
    run(world.signals.callback("a", "slice", partner.engine))

    assert world.kube.reads == [("trialengines", "a")]
    assert [signal["name"] for signal in world.stored] == ["slice"]


def test_signal_is_appended_to_what_others_wrote_since_the_engine_was_read(world):
    read = world.engine()
    world.engine(signals=signals(["slice"]))

    run(world.signals.callback("a", "monitoring", read))

    assert [signal["name"] for signal in world.stored] == ["slice", "monitoring"]


def test_engine_that_took_the_place_of_the_one_read_gets_no_signal(world):
    read = world.engine()
    world.kube.drop("trialengines", "a")
    world.engine(trial_id="other")

    assert world.refusal("callback", "slice", read) == UNKNOWN


def test_callbacks_that_wait_for_another_read_the_engine_again(world):
    read = world.engine()

    async def scenario():
        await asyncio.gather(*(world.signals.callback("a", name, read) for name in CALLBACKS))

    run(scenario())
    assert [signal["name"] for signal in world.stored] == list(CALLBACKS)
    assert world.kube.reads == [("trialengines", "a")] * (len(CALLBACKS) - 1)


def test_a_repeated_callback_is_another_signal(world):
    world.engine()

    run(world.signals.callback("a", "slice"))
    run(world.signals.callback("a", "slice"))

    assert [signal["name"] for signal in world.stored] == ["slice", "slice"]
    assert len({signal["id"] for signal in world.stored}) == 2


def test_callbacks_to_two_sidecars_at_once_are_all_stored(world):
    world.engine()
    sidecars = [world.sidecar() for _ in range(2)]

    async def scenario():
        await asyncio.gather(*(s.callback("a", name) for s in sidecars for name in CALLBACKS))

    run(scenario())
    assert sorted(signal["name"] for signal in world.stored) == sorted(CALLBACKS * 2)


def test_an_engine_that_saves_its_checkpoint_meanwhile_costs_no_signal(world):
    world.engine()
    world.kube.before_write = [
        lambda: world.engine(signals=signals(["slice"]), consumedSignals=[]),
        lambda: world.engine(signals=signals(["slice"]), consumedSignals=consumed(signals(["slice"]))),
    ]

    run(world.signals.finish("a"))

    assert [signal["name"] for signal in world.stored] == ["slice", "finish"]
    assert world.kube.objects["trialengines", "a"]["status"]["consumedSignals"]


def test_an_engine_that_ends_meanwhile_takes_no_signal(world):
    world.engine()
    world.kube.before_write = [lambda: world.engine(succeeded=FINISHED)]

    assert world.refusal("callback", "slice") == NOT_READY
    assert world.stored == []


def test_an_engine_that_goes_meanwhile_takes_no_signal(world):
    world.engine()
    world.kube.before_write = [lambda: world.kube.drop("trialengines", "a")]

    assert world.refusal("finish") == UNKNOWN


def test_an_engine_that_never_stands_still_is_told_as_such(world):
    world.engine()
    world.kube.before_write = [world.engine] * 100

    with pytest.raises(ConflictError, match="TrialEngine a is being changed too often"):
        run(world.signals.finish("a"))
    assert world.stored == []


def no_engine(_world):
    """Leave the API server empty."""


def another_trial(world):
    world.engine("A b")


def armed(world):
    world.engine(attempt=0)


def made_anew(world):
    world.engine(attempt=0)
    world.latch()
    world.kube.objects["trialengines", "a"]["metadata"]["uid"] = "uid-new"


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(no_engine, id="there is none"),
        pytest.param(another_trial, id="it is another trial's"),
        pytest.param(armed, id="it was armed and not started"),
        pytest.param(made_anew, id="it is not the one that was started"),
    ],
)
@pytest.mark.parametrize("ask", ["active", "finish", "callback", "trial_status"])
def test_what_is_no_engine_yet_or_any_more_is_unknown(world, state, ask):
    state(world)

    assert world.refusal(ask, *(["slice"] if ask == "callback" else [])) == UNKNOWN


def test_an_engine_that_was_started_and_waits_for_its_grant_takes_signals(world):
    world.engine(attempt=0)
    world.latch()

    run(world.signals.finish("a"))

    assert [signal["name"] for signal in world.stored] == ["finish"]
    assert run(world.signals.trial_status("a")) == ("Waiting", "Waiting")


IDLE = {"kpiLabel": "Idle"}


@pytest.mark.parametrize(
    ("state", "active", "finish", "callback"),
    [
        pytest.param({"values": IDLE}, None, None, None, id="the label is Idle"),
        pytest.param({}, NOT_IDLE, None, None, id="there is no label"),
        pytest.param({"values": {"kpiLabel": "Active"}}, NOT_IDLE, None, None, id="the label is Active"),
        pytest.param({"values": IDLE, "succeeded": FAILED}, NOT_READY, NOT_READY, None, id="failed, Idle"),
        pytest.param({"succeeded": FAILED}, NOT_IDLE, NOT_READY, None, id="failed"),
        pytest.param(
            {"values": IDLE, "succeeded": FINISHED}, NOT_READY, NOT_READY, NOT_READY, id="finished, Idle"
        ),
        pytest.param(
            {"values": {"kpiLabel": "Finished"}, "succeeded": FINISHED},
            NOT_IDLE,
            NOT_READY,
            NOT_READY,
            id="finished",
        ),
    ],
)
def test_which_engine_takes_what(world, state, active, finish, callback):
    def answer(kind, *arguments):
        try:
            run(getattr(world.signals, kind)("a", *arguments))
        except HttpRefusalError as refused:
            return refused.status, refused.detail
        return None

    world.engine(**state)

    assert answer("active") == active
    assert answer("finish") == finish
    assert answer("callback", "slice") == callback


def test_sixty_four_signals_may_wait_and_no_more_until_one_is_taken(world):
    stored = signals(["slice"] * (MOST_OPEN - 1))
    world.engine(signals=stored)
    run(world.signals.callback("a", "slice"))

    assert world.refusal("finish") == TOO_MANY
    assert len(world.stored) == MOST_OPEN

    world.engine(signals=world.stored, consumedSignals=consumed(stored[:1]))
    run(world.signals.finish("a"))
    assert world.stored[-1]["name"] == "finish"


def test_last_consumed_signals_stay_so_that_a_restore_can_give_them_back(world):
    taken = signals(["slice"] * (KEPT_CONSUMED + 3), "taken")
    still = signals(["finish"] * 2, "open")
    world.engine(signals=[*still[:1], *taken, *still[1:]], consumedSignals=consumed(taken))

    run(world.signals.callback("a", "slice"))

    kept = [signal["id"] for signal in world.stored[:-1]]
    assert kept == [one["id"] for one in (*still[:1], *taken[3:], *still[1:])]


def activities(**states):
    return [{"name": name, "state": state, "run": 1} for name, state in states.items()]


ASKED = {"ask": "Succeeded", "asked": "Succeeded"}


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        pytest.param({}, ("Waiting", "Waiting"), id="it has begun nothing"),
        pytest.param(
            {"activities": activities(ask="Running")}, ("Running", "SliceDeployment"), id="an activity runs"
        ),
        pytest.param(
            {"activities": activities(ask="Succeeded", asked="Running")},
            ("Waiting", "Waiting"),
            id="it waits for a signal",
        ),
        pytest.param(
            {"activities": activities(**ASKED, nap="Running")},
            ("Running", "nap"),
            id="an activity without a state's name runs",
        ),
        pytest.param(
            {"activities": activities(ask="Succeeded", asked="Pending")},
            ("Waiting", "Waiting"),
            id="a restored one has begun nothing",
        ),
        pytest.param(
            {"activities": activities(**ASKED, nap="Succeeded", release="Running")},
            ("Running", "CloseService"),
            id="it releases",
        ),
        pytest.param(
            {"activities": activities(**ASKED, nap="Succeeded", release="Succeeded")},
            ("Running", "nap"),
            id="all is done and not told yet",
        ),
        pytest.param(
            {"activities": activities(ask="Failed")},
            ("Running", "SliceDeployment"),
            id="an activity failed and it is not told yet",
        ),
        pytest.param(
            {"succeeded": FAILED, "activities": activities(ask="Failed", report="Succeeded")},
            ("Stopped", "SliceDeployment"),
            id="an activity failed",
        ),
        pytest.param(
            {"succeeded": FAILED, "activities": activities(ask="Succeeded", asked="Failed")},
            ("Stopped", "asked"),
            id="a wait took too long",
        ),
        pytest.param(
            {"succeeded": FAILED, "activities": activities(ask="Running")},
            ("Stopped", "SliceDeployment"),
            id="its pod ended within an activity",
        ),
        pytest.param({"succeeded": FAILED}, ("Stopped", "Waiting"), id="it never began"),
        pytest.param(
            {"succeeded": FINISHED, "activities": activities(**ASKED, nap="Succeeded")},
            ("Stopped", "Finish"),
            id="it has finished",
        ),
    ],
)
def test_status_and_state_in_the_old_words(world, state, shown):
    world.engine(**state)

    assert run(world.signals.trial_status("a")) == shown


def test_an_activity_that_may_fail_is_not_what_an_engine_failed_at(world):
    world.engine(succeeded=FAILED, activities=activities(ask="Failed", asked="Failed"))
    plan = [PLAN[0] | {"continueOnError": True}, *PLAN[1:]]
    world.kube.objects["trialengines", "a"]["spec"]["activities"] = plan

    assert run(world.signals.trial_status("a")) == ("Stopped", "asked")
