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
TOO_MANY = (413, f"Too many signals: {MOST_OPEN} are not consumed yet.")

PLAN = [
    {"name": "ask", "stateName": "SliceDeployment", "http": {"url": "http://partner"}},
    {"name": "asked", "wait": {"signal": "slice"}},
    {"name": "nap", "sleep": {"seconds": 1}},
]
REPORT = [{"name": "report", "sleep": {"seconds": 1}}]
RELEASE = [{"name": "release", "stateName": "CloseService", "sleep": {"seconds": 1}}]
LIVES, FAILED, FINISHED = "Unknown", "False", "True"


class Harness:
    """An API server, and any number of sidecars that have seen nothing of it."""

    def __init__(self):
        self.kube = Kube()
        self.view = View()
        self.signals = self.sidecar()

    def sidecar(self):
        return Signals(self.kube, self.view, "lab", lambda: NOW)

    def engine(self, trial_id="a", *, name="a", succeeded=LIVES, attempt=1, plan=PLAN, **status):
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
                "activities": plan,
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
        with pytest.raises(HttpRefusalError) as raised:
            run(getattr(self.signals, kind)("a", *arguments))
        return raised.value.status, raised.value.detail


@pytest.fixture
def harness():
    return Harness()


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
def test_a_signal_stands_on_the_engine_once_it_is_acknowledged(harness, send, name):
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


def test_an_engine_that_goes_meanwhile_takes_no_signal(harness):
    harness.engine()
    harness.kube.before_write = [lambda: harness.kube.drop("trialengines", "a")]

    assert harness.refusal("finish") == UNKNOWN


def test_an_engine_that_never_stands_still_is_told_as_such(harness):
    harness.engine()
    harness.kube.before_write = [harness.engine] * 100

    with pytest.raises(ConflictError, match="TrialEngine a is being changed too often"):
        run(harness.signals.finish("a"))
    assert harness.stored == []


def no_engine(_harness):
    """Leave the API server empty."""


def another_trial(harness):
    harness.engine("A b")


def armed(harness):
    harness.engine(attempt=0)


def made_anew(harness):
    harness.engine(attempt=0)
    harness.latch()
    harness.kube.objects["trialengines", "a"]["metadata"]["uid"] = "uid-new"


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
def test_what_is_no_engine_yet_or_any_more_is_unknown(harness, state, ask):
    state(harness)

    assert harness.refusal(ask, *(["slice"] if ask == "callback" else [])) == UNKNOWN


def test_an_engine_that_was_started_and_waits_for_its_grant_takes_signals(harness):
    harness.engine(attempt=0)
    harness.latch()

    run(harness.signals.finish("a"))

    assert [signal["name"] for signal in harness.stored] == ["finish"]
    assert run(harness.signals.trial_status("a")) == ("Waiting", "Waiting")


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
def test_which_engine_takes_what(harness, state, active, finish, callback):
    def answer(kind, *arguments):
        try:
            run(getattr(harness.signals, kind)("a", *arguments))
        except HttpRefusalError as refused:
            return refused.status, refused.detail
        return None

    harness.engine(**state)

    assert answer("active") == active
    assert answer("finish") == finish
    assert answer("callback", "slice") == callback


def test_sixty_four_signals_may_wait_and_no_more_until_one_is_taken(harness):
    stored = signals(["slice"] * (MOST_OPEN - 1))
    harness.engine(signals=stored)
    run(harness.signals.callback("a", "slice"))

    assert harness.refusal("finish") == TOO_MANY
    assert len(harness.stored) == MOST_OPEN

    harness.engine(signals=harness.stored, consumedSignals=consumed(stored[:1]))
    run(harness.signals.finish("a"))
    assert harness.stored[-1]["name"] == "finish"


def test_last_consumed_signals_stay_so_that_a_restore_can_give_them_back(harness):
    taken = signals(["slice"] * (KEPT_CONSUMED + 3), "taken")
    still = signals(["finish"] * 2, "open")
    harness.engine(signals=[*still[:1], *taken, *still[1:]], consumedSignals=consumed(taken))

    run(harness.signals.callback("a", "slice"))

    kept = [signal["id"] for signal in harness.stored[:-1]]
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
def test_status_and_state_in_the_old_words(harness, state, shown):
    harness.engine(**state)

    assert run(harness.signals.trial_status("a")) == shown


def test_an_activity_that_may_fail_is_not_what_an_engine_failed_at(harness):
    harness.engine(succeeded=FAILED, activities=activities(ask="Failed", asked="Failed"))
    plan = [PLAN[0] | {"continueOnError": True}, *PLAN[1:]]
    harness.kube.objects["trialengines", "a"]["spec"]["activities"] = plan

    assert run(harness.signals.trial_status("a")) == ("Stopped", "asked")


def test_a_callback_of_any_name_that_the_plan_waits_for_is_stored(harness):
    plan = [*PLAN, {"name": "cleared", "wait": {"signal": "airspace"}}]
    harness.engine(plan=plan)

    run(harness.signals.callback("a", "airspace"))

    assert [signal["name"] for signal in harness.stored] == ["airspace"]


@pytest.mark.parametrize(
    ("waits", "name", "detail"),
    [
        pytest.param(["wind", "airspace"], "weather", "it waits for airspace, wind", id="for others"),
        pytest.param([], "weather", "it waits for no callback", id="for nothing"),
        pytest.param(["finish"], "finish", "it waits for no callback", id="for what needs the key"),
        pytest.param(["active", "wind"], "active", "it waits for wind", id="for what needs the key, too"),
    ],
)
def test_an_unawaited_callback_is_refused_with_the_awaited_names(harness, waits, name, detail):
    harness.engine(plan=[{"name": f"w-{each}", "wait": {"signal": each}} for each in waits])

    assert harness.refusal("callback", name) == (
        404,
        f"The plan does not wait for callback {name}; {detail}.",
    )
    assert harness.stored == []
