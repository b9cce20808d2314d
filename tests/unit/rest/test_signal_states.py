"""Which engine takes which signal, and the old words for its state."""

import pytest
from tests.unit.rest.engines import FAILED, FINISHED, NOT_READY, PLAN, UNKNOWN, Harness, consumed, signals
from tests.unit.rest.harness import run

from lcm_operator.rest.http.replies import HttpRefusalError
from lcm_operator.rest.services.signals import KEPT_CONSUMED, MOST_OPEN

NOT_IDLE = (400, "Current label not Idle. Can't mark KPI's as Active.")
TOO_MANY = (413, f"Too many signals: {MOST_OPEN} are not consumed yet.")


@pytest.fixture
def harness():
    return Harness()


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


def test_of_parallel_branches_the_one_that_does_more_than_wait_is_shown(harness):
    harness.engine(activities=activities(hold="Running", fly="Running"))
    harness.kube.objects["trialengines", "a"]["spec"]["activities"] = [
        {"name": "hold", "branch": "x", "wait": {"signal": "slice"}},
        {"name": "fly", "branch": "y", "sleep": {"seconds": 1}, "stateName": "Flight"},
    ]

    assert run(harness.signals.trial_status("a")) == ("Running", "Flight")


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
