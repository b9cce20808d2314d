"""Whatever the operator is doing when it is killed: the outcome is the same, and each attempt starts once.

Not at random: at every point before and after every write that it makes, and at every two of them.
"""

from itertools import combinations

import pytest
from tests.unit.controllers.world import World, annotate, phase_is, works_on

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


def stopped(**how):
    """A restore is asked for while the engine works."""
    return World(people=[(works_on("two"), annotate(restore="r1"))], **how)


LIVES = [
    pytest.param(straight, id="a trial that just runs"),
    pytest.param(failing, id="one that fails and is restored"),
    pytest.param(deleted, id="one that fails and is deleted by request"),
    pytest.param(cancelled, id="one that is cancelled before its start"),
    pytest.param(failing_twice, id="one that is restored twice, the second time from the beginning"),
]


def is_sound(world):
    """What must hold in every life, besides what the world itself watches over."""
    attempts = [attempt for attempt, _ in world.grants]
    assert attempts == sorted(set(attempts)), "each attempt is granted once"
    assert len(world.latches) <= 1, "a trial is started once"
    assert len(set(world.pods.values())) == len(world.pods), "each attempt has one pod"
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


def test_a_life_that_was_deleted_is_what_it_should_be():
    world = deleted().run()
    outcome = world.outcome()
    assert (outcome["phase"], outcome["deleted"]) == ("Cancelled", ("d1", "Done"))
    assert outcome["acts"] == [("one", 1, 1), ("two", 1, 1)]
    assert (outcome["left"], world.api.all("trialengines")) == ([], [])


def test_a_life_that_was_cancelled_is_what_it_should_be():
    world = cancelled().run()
    outcome = world.outcome()
    assert (outcome["phase"], outcome["deleted"]) == ("Cancelled", ("d1", "Done"))
    assert outcome["acts"] == []
    assert (outcome["left"], world.api.all("trialengines")) == ([], [])


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
