"""Whatever the operator is doing when it is killed: the outcome is the same, and each attempt starts once.

Not at random: at every point before and after every write that it makes, and at every two of them.
"""

from datetime import timedelta
from itertools import combinations

import pytest
from tests.unit.controllers.scenarios import (
    PROMPT,
    SCENARIOS,
    cancelled,
    cut_off,
    deleted,
    failing,
    failing_twice,
    given_up,
    given_up_while_it_reports,
    interrupted,
    is_sound,
    persistent,
    releasing,
    releasing_late,
    repaired,
    repaired_elsewhere,
    restored_too_late,
    stopped,
    straight,
    too_slow,
    unreleased,
)
from tests.unit.controllers.simulation import annotate, reason_of

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS)
every_watch = pytest.mark.parametrize("prompt", PROMPT)
scenarios_with_late_watches = pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in SCENARIOS if scenario.values[0] in (straight, failing, releasing_late)],
)


def comes_to_the_same(scenario, prompt, disturbed):
    """Disturb a scenario at each of its points in turn, as `disturbed` says, and compare outcomes."""
    undisturbed = scenario(prompt=prompt).run()
    assert undisturbed.points >= 10
    assert is_sound(undisturbed)
    for point in range(1, undisturbed.points + 1):
        simulation = scenario(prompt=prompt, **disturbed(point)).run()
        assert is_sound(simulation), point
        assert simulation.outcome() == undisturbed.outcome(), point


def killed(point):
    return {"kills": frozenset({point})}


def unanswered(point):
    return {"outages": frozenset({point})}


def frozen(point):
    return {"freezes": point}


@every_scenario
def test_killed_at_any_point_it_comes_to_the_same_outcome_as_undisturbed(scenario):
    comes_to_the_same(scenario, True, killed)


@scenarios_with_late_watches
def test_kill_at_any_point_with_lagging_watches_changes_no_outcome(scenario):
    comes_to_the_same(scenario, False, killed)


def test_kills_at_any_two_points_change_no_outcome():
    short = {"activities": ("one",)}
    expected = straight(**short).run()
    for points in combinations(range(1, expected.points + 3), 2):
        simulation = straight(**short, kills=frozenset(points)).run()
        assert is_sound(simulation), points
        assert simulation.outcome() == expected.outcome(), points


def test_killed_again_and_again_it_still_gets_through():
    expected = failing().run()
    simulation = failing(kills=frozenset(range(1, 1000, 5))).run()
    assert is_sound(simulation)
    assert simulation.outcome() == expected.outcome()


@every_scenario
def test_without_an_answer_at_any_point_it_comes_to_the_same_outcome(scenario):
    comes_to_the_same(scenario, True, unanswered)


@every_scenario
def test_freeze_at_any_point_while_another_leads_spoils_nothing(scenario):
    comes_to_the_same(scenario, True, frozen)


@scenarios_with_late_watches
def test_freeze_at_any_point_with_lagging_watches_spoils_nothing(scenario):
    comes_to_the_same(scenario, False, frozen)


def test_killed_at_any_point_it_restores_an_engine_that_could_not_report():
    comes_to_the_same(interrupted, True, killed)


def test_frozen_at_any_point_it_restores_an_engine_that_could_not_report():
    comes_to_the_same(interrupted, False, frozen)


@every_watch
def test_kill_during_a_restore_begins_one_attempt_and_loses_no_activity(prompt):
    undisturbed = stopped(prompt=prompt).run()
    assert [attempt for attempt, _ in undisturbed.grants] == [1, 2]
    for point in range(1, undisturbed.points + 1):
        simulation = stopped(prompt=prompt, kills=frozenset({point})).run()
        assert is_sound(simulation), point
        assert [attempt for attempt, _ in simulation.grants] == [1, 2], point
        assert simulation.outcome()["phase"] == "Succeeded", point
        assert {activity for activity, _, _ in simulation.acts} == {"one", "two", "three"}, point
        assert {run for _, run, _ in simulation.acts} == {1}, point


@pytest.mark.parametrize("scenario", [straight, failing])
def test_killed_at_any_point_around_the_write_of_a_log_nothing_else_changes(scenario):
    def logging(**how):
        return scenario(log="the last line", **how)

    engine = logging().run().api.get("trialengines", "example")
    assert [each.get("log") for each in engine["status"]["attempts"]] == ["the last line"] * len(
        engine["status"]["attempts"]
    )
    assert logging().run().outcome() == scenario().run().outcome()
    comes_to_the_same(lambda prompt, **how: logging(prompt=prompt, **how), True, killed)


def test_a_straight_life_is_what_it_should_be():
    outcome = straight().run().outcome()
    assert outcome["acts"] == [("one", 1, 1), ("two", 1, 1), ("three", 1, 1)]
    assert outcome["conditions"] == {
        "Accepted": ("True", "Accepted"),
        "Scheduled": ("True", "StartTimeKnown"),
        "Armed": ("True", "Admitted"),
        "Started": ("True", "EngineStarted"),
        "Succeeded": ("True", "Completed"),
        "PlanCurrent": ("True", "PlanCurrent"),
        "Finished": ("True", "Succeeded"),
    }
    assert outcome["progress"] == "3/3"


def test_a_restored_life_is_what_it_should_be():
    outcome = failing().run().outcome()
    assert outcome["acts"] == [("one", 1, 1), ("two", 1, 1), ("two", 1, 2), ("three", 1, 2)]
    assert outcome["restored"] == ("r1", "Done")
    assert [number for number, *_ in outcome["attempts"]] == [1, 2]


def test_a_life_that_released_is_what_it_should_be():
    outcome = releasing().run().outcome()
    assert [activity for activity, _, _ in outcome["acts"]] == ["one", "two", "three", "free", "tell"]
    assert outcome["phase"] == "Succeeded"


def test_a_life_whose_release_failed_is_what_it_should_be():
    outcome = unreleased().run().outcome()
    assert outcome["conditions"]["Succeeded"] == ("True", "Completed")
    assert outcome["conditions"]["Released"] == ("False", "FinallyFailed")


def test_a_life_that_was_cut_off_while_it_released_is_what_it_should_be():
    outcome = cut_off().run().outcome()
    assert [reason for _, reason, _, _ in outcome["attempts"]] == ["Start", "Finally"]
    assert outcome["acts"][-2:] == [("free", 1, 2), ("tell", 1, 2)]
    assert outcome["conditions"]["Succeeded"] == ("True", "Completed")
    assert outcome["conditions"]["Released"] == ("True", "Released")


def test_a_life_that_released_late_is_what_it_should_be():
    outcome = releasing_late().run().outcome()
    assert outcome["acts"] == [
        ("one", 1, 1),
        ("two", 1, 1),
        ("report", 1, 1),
        ("free", 1, 2),
        ("tell", 1, 2),
    ]
    assert outcome["phase"] == "Cancelled"


def test_a_life_that_was_too_slow_is_what_it_should_be():
    outcome = too_slow().run().outcome()
    assert outcome["acts"] == [("one", 1, 1), ("free", 1, 1), ("tell", 1, 1)]
    assert outcome["conditions"]["Succeeded"] == ("False", "DeadlineExceeded")


def test_a_life_that_was_given_up_is_what_it_should_be():
    simulation = given_up().run()
    outcome = simulation.outcome()
    assert [activity for activity, _, _ in outcome["acts"]] == ["one", "two", "report", "free", "tell"]
    assert outcome["conditions"]["Succeeded"] == ("False", "ActivityFailed")
    assert outcome["conditions"]["Finished"] == ("True", "Failed")
    assert outcome["conditions"]["Released"] == ("True", "Released")
    assert [(reason, how) for _, reason, how, _ in outcome["attempts"]] == [
        ("Start", "Failed"),
        ("Finally", "Stopped"),
    ]
    failed, freed = simulation.act_times[1], simulation.act_times[3]
    assert timedelta(seconds=600) <= freed - failed < timedelta(seconds=620)


def test_a_life_given_up_while_it_reports_releases_in_the_same_attempt():
    outcome = given_up_while_it_reports().run().outcome()
    assert outcome["acts"] == [("one", 1, 1), ("two", 1, 1), ("free", 1, 1)]
    assert outcome["conditions"]["Succeeded"] == ("False", "ActivityFailed")
    assert outcome["conditions"]["Released"] == ("True", "Released")
    assert ("report", "Failed") in {(name, state) for name, state, *_ in outcome["activities"]}


def test_a_life_restored_after_it_was_given_up_releases_again():
    outcome = restored_too_late().run().outcome()
    assert outcome["acts"][2:] == [
        ("free", 1, 2),
        ("tell", 1, 2),
        ("two", 1, 3),
        ("three", 1, 3),
        ("free", 2, 3),
        ("tell", 2, 3),
    ]
    assert (outcome["phase"], outcome["restored"]) == ("Succeeded", ("r1", "Done"))
    assert outcome["conditions"]["Released"] == ("True", "Released")


@pytest.mark.parametrize("scenario", [given_up, given_up_while_it_reports])
@every_watch
def test_restore_that_precedes_giving_up_in_the_api_server_is_carried_out(scenario, prompt):
    """A restore wins if it comes before the Trial shows GivingUp; after that it follows a release."""
    undisturbed = scenario(prompt=prompt).run()
    for point in range(undisturbed.points // 2, undisturbed.points + 1):
        shown = []

        def restore(api, shown=shown):
            shown.append(reason_of(api, "Finished"))
            annotate(restore="r1")(api)

        simulation = scenario(prompt=prompt, interfere=(point, restore)).run()
        assert is_sound(simulation), point
        outcome = simulation.outcome()
        assert outcome["restored"] in {("r1", "Done"), ("r1", "Merged")}, point
        assert outcome["phase"] == "Succeeded", point
        if shown == ["AwaitingRestore"]:
            assert [reason for _, reason, _, _ in outcome["attempts"]] == ["Start", "Restore"], point
            assert ("free", 1, 1) not in outcome["acts"], point


def test_a_life_restored_by_itself_is_what_it_should_be():
    outcome = persistent().run().outcome()
    assert [reason for _, reason, _, _ in outcome["attempts"]] == ["Start", "Automatic", "Automatic"]
    assert outcome["phase"] == "Succeeded"


def test_a_life_that_was_deleted_is_what_it_should_be():
    simulation = deleted().run()
    outcome = simulation.outcome()
    assert (outcome["phase"], outcome["deleted"]) == ("Cancelled", ("d1", "Done"))
    assert outcome["acts"] == [("one", 1, 1), ("two", 1, 1)]
    assert (simulation.api.all("pods"), simulation.api.all("trialengines")) == ([], [])


def test_a_life_that_was_cancelled_is_what_it_should_be():
    simulation = cancelled().run()
    outcome = simulation.outcome()
    assert (outcome["phase"], outcome["deleted"]) == ("Cancelled", ("d1", "Done"))
    assert outcome["acts"] == []
    assert (simulation.api.all("pods"), simulation.api.all("trialengines")) == ([], [])


def test_a_life_restored_from_the_beginning_is_what_it_should_be():
    simulation = failing_twice().run()
    assert simulation.acts == [
        ("one", 1, 1),
        ("two", 1, 1),
        ("two", 1, 2),
        ("three", 1, 2),
        ("one", 2, 3),
        ("two", 2, 3),
        ("three", 1, 3),
    ]


@pytest.mark.parametrize("scenario", [repaired, repaired_elsewhere])
def test_a_life_restored_with_a_repaired_plan_is_what_it_should_be(scenario):
    simulation = scenario().run()
    outcome = simulation.outcome()
    acts = [("one", 1, 1), ("two", 1, 1), ("mended", 1, 2), ("three", 1, 2)]
    assert [each for each in outcome["acts"] if each[0] != "free"] == acts
    assert (outcome["phase"], outcome["progress"]) == ("Succeeded", "3/3")
    assert outcome["attempts"][1] == (2, "RestorePlan", "Succeeded", "mended")
    assert (outcome["restored"], outcome["plan"]) == (("r1", "Done"), ["one", "mended", "three"])
    assert outcome["generation"] == (2, False)
    assert ("two", "Pending") in {(name, state) for name, state, *_ in outcome["activities"]}
    assert len(simulation.api.all("trialengines")) == 1


def test_outputs_survive_restores_to_the_last_null():
    activities = failing().run().outcome()["activities"]
    assert [output for _, _, _, output in activities] == [{"told": None}] * 3
