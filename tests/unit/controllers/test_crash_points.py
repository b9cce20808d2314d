"""Whatever the operator is doing when it is killed: the outcome is the same, and each attempt starts once.

Not at random: at every point before and after every write that it makes, and at every two of them.
"""

from itertools import combinations

import pytest
from tests.unit.controllers.world import World, annotate, has_ended, phase_is, works_on

PROMPT = [pytest.param(True, id="watches that tell at once"), pytest.param(False, id="watches that lag")]


def straight(**how):
    return World(**how)


def failing(**how):
    """The second activity fails; a person asks for a restore."""
    return World(fails=frozenset({("two", 1)}), people=[(phase_is("Failed"), annotate(restore="r1"))], **how)


def failing_twice(**how):
    """It fails again; the second restore goes back to the first activity."""
    return World(
        fails=frozenset({("two", 1), ("three", 2)}),
        people=[
            (phase_is("Failed"), annotate(restore="r1")),
            (works_on("three"), lambda _: None),
            (phase_is("Failed"), annotate(restore="r2", restore_from="r2/one")),
        ],
        **how,
    )


def deleted(**how):
    """A person asks for the deletion of an engine that has failed."""
    return World(fails=frozenset({("two", 1)}), people=[(phase_is("Failed"), annotate(delete="d1"))], **how)


def cancelled(**how):
    """A person asks for the deletion before the start."""
    return World(people=[(phase_is("Armed"), annotate(delete="d1"))], **how)


def releasing(**how):
    """What it holds is released when it succeeds."""
    return World(finally_=("free", "tell"), **how)


def releasing_late(**how):
    """It fails and reports that; on a delete request one more attempt releases what it holds."""
    return World(
        on_failure=("report",),
        finally_=("free", "tell"),
        fails=frozenset({("two", 1)}),
        people=[(has_ended, annotate(delete="d1"))],
        **how,
    )


def too_slow(**how):
    """It hangs until its deadline, releases, and has failed for good."""
    return World(
        finally_=("free", "tell"),
        hangs=frozenset({("two", 1)}),
        engine={"activeDeadlineSeconds": 60},
        **how,
    )


def persistent(**how):
    """It fails twice and is restored twice, by itself."""
    return World(fails=frozenset({("two", 1), ("two", 2)}), engine={"maxRestores": 2}, **how)


def stopped(**how):
    """A restore is asked for while the engine works."""
    return World(people=[(works_on("two"), annotate(restore="r1"))], **how)


LIVES = [
    pytest.param(straight, id="a trial that just runs"),
    pytest.param(failing, id="one that fails and is restored"),
    pytest.param(deleted, id="one that fails and is deleted by request"),
    pytest.param(cancelled, id="one that is cancelled before its start"),
    pytest.param(releasing, id="one that releases what it holds"),
    pytest.param(releasing_late, id="one that releases what it holds when it is deleted"),
    pytest.param(too_slow, id="one that exceeds its deadline"),
    pytest.param(persistent, id="one that is restored by itself"),
    pytest.param(failing_twice, id="one that is restored twice, the second time from the beginning"),
]


GOING = [deleted, releasing_late]
"""Those of which nothing is left in the end."""


def is_sound(world):
    """What must hold in every life, besides what the world itself watches over."""
    attempts = [attempt for attempt, _ in world.grants]
    assert attempts == sorted(set(attempts)), "each attempt is granted once"
    assert len(world.latches) <= 1, "a trial is started once"
    granted = [world.pods[uid] for _, uid in world.grants]
    assert len(set(granted)) == len(granted), "each attempt has one pod that may act"
    assert len(world.acts) == len(set(world.acts)), "no activity acts twice in one attempt"
    return True


@pytest.mark.parametrize("prompt", PROMPT)
@pytest.mark.parametrize("life", LIVES)
def test_killed_at_any_point_it_comes_to_the_same_outcome_as_undisturbed(life, prompt):
    undisturbed = life(prompt=prompt).run()
    assert undisturbed.points > 10
    assert is_sound(undisturbed)
    for point in range(1, undisturbed.points + 1):
        world = life(prompt=prompt, kills=frozenset({point})).run()
        assert is_sound(world), point
        assert world.outcome() == undisturbed.outcome(), point


def test_killed_at_any_two_points_it_comes_to_the_same_outcome_as_undisturbed():
    short = {"activities": ("one",)}
    expected = straight(**short).run()
    for points in combinations(range(1, expected.points + 3), 2):
        world = straight(**short, kills=frozenset(points)).run()
        assert is_sound(world), points
        assert world.outcome() == expected.outcome(), points


def test_killed_again_and_again_it_still_gets_through():
    expected = failing().run()
    world = failing(kills=frozenset(range(1, 1000, 5))).run()
    assert is_sound(world)
    assert world.outcome() == expected.outcome()


@pytest.mark.parametrize("prompt", PROMPT)
@pytest.mark.parametrize("life", LIVES[:4])
def test_without_an_answer_at_any_point_it_comes_to_the_same_outcome(life, prompt):
    undisturbed = life(prompt=prompt).run()
    for point in range(1, undisturbed.points + 1):
        world = life(prompt=prompt, outages=frozenset({point})).run()
        assert is_sound(world), point
        assert world.outcome() == undisturbed.outcome(), point


@pytest.mark.parametrize("prompt", PROMPT)
def test_killed_while_a_working_engine_is_restored_it_begins_one_attempt_and_loses_no_activity(prompt):
    undisturbed = stopped(prompt=prompt).run()
    assert [attempt for attempt, _ in undisturbed.grants] == [1, 2]
    for point in range(1, undisturbed.points + 1):
        world = stopped(prompt=prompt, kills=frozenset({point})).run()
        assert is_sound(world), point
        assert [attempt for attempt, _ in world.grants] == [1, 2], point
        assert world.outcome()["phase"] == "Succeeded", point
        assert {activity for activity, _, _ in world.acts} == {"one", "two", "three"}, point
        assert {run for _, run, _ in world.acts} == {1}, point


@pytest.mark.parametrize("prompt", PROMPT)
@pytest.mark.parametrize("life", [life for life in LIVES if life.values[0] not in GOING])
def test_frozen_at_any_point_while_another_leads_it_spoils_nothing_when_it_goes_on(life, prompt):
    undisturbed = life(prompt=prompt).run()
    for point in range(1, undisturbed.points + 1):
        world = life(prompt=prompt, freezes=point).run()
        assert is_sound(world), point
        assert world.outcome() == undisturbed.outcome(), point


@pytest.mark.parametrize("prompt", PROMPT)
@pytest.mark.parametrize("life", GOING)
def test_frozen_while_another_leads_to_the_removal_it_leaves_nothing_behind(life, prompt):
    undisturbed = life(prompt=prompt).run()
    for point in range(1, undisturbed.points + 1):
        world = life(prompt=prompt, freezes=point).run()
        assert is_sound(world), point
        assert world.outcome() == undisturbed.outcome(), point


def test_a_straight_life_is_what_it_should_be():
    outcome = straight().run().outcome()
    assert outcome["acts"] == [("one", 1, 1), ("two", 1, 1), ("three", 1, 1)]
    assert outcome["conditions"] == {
        "Accepted": ("True", "Accepted"),
        "Scheduled": ("True", "StartTimeKnown"),
        "Armed": ("True", "Admitted"),
        "Started": ("True", "EngineStarted"),
        "Succeeded": ("True", "Completed"),
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


def test_a_life_restored_by_itself_is_what_it_should_be():
    outcome = persistent().run().outcome()
    assert [reason for _, reason, _, _ in outcome["attempts"]] == ["Start", "Automatic", "Automatic"]
    assert outcome["phase"] == "Succeeded"


def test_a_life_that_was_deleted_is_what_it_should_be():
    world = deleted().run()
    outcome = world.outcome()
    assert (outcome["phase"], outcome["deleted"]) == ("Cancelled", ("d1", "Done"))
    assert outcome["acts"] == [("one", 1, 1), ("two", 1, 1)]
    assert (world.api.all("pods"), world.api.all("trialengines")) == ([], [])


def test_a_life_that_was_cancelled_is_what_it_should_be():
    world = cancelled().run()
    outcome = world.outcome()
    assert (outcome["phase"], outcome["deleted"]) == ("Cancelled", ("d1", "Done"))
    assert outcome["acts"] == []
    assert (world.api.all("pods"), world.api.all("trialengines")) == ([], [])


def test_a_life_restored_from_the_beginning_is_what_it_should_be():
    world = failing_twice().run()
    assert world.acts == [
        ("one", 1, 1),
        ("two", 1, 1),
        ("two", 1, 2),
        ("three", 1, 2),
        ("one", 2, 3),
        ("two", 2, 3),
        ("three", 1, 3),
    ]


def test_outputs_survive_restores_to_the_last_null():
    activities = failing().run().outcome()["activities"]
    assert [output for _, _, _, output in activities] == [{"told": None}] * 3
