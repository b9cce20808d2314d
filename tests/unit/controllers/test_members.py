"""The Trials of one ID: who holds it, and of which of the others there is something to decide."""

import random
from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import at, engine, scheduled, settle, slot, trial

from lcm_operator.controllers import members as module
from lcm_operator.controllers.members import Members
from lcm_operator.domain.actions import Wait
from lcm_operator.domain.decide import decide
from lcm_operator.domain.ownership import holder


def many(count):
    return [trial(name=f"trial-{n}", uid=f"uid-{n:04}", created=-count + n) for n in range(count)]


def filled(trials):
    members = Members()
    for each in trials:
        members.put(each)
    return members


def names(trials):
    return [each.metadata.name for each in trials]


def rested(members, *, now=None, engine=None):
    """Settle all, without a time at which there is something to do again."""
    for _ in range(10_000):
        chosen = members.holder(engine)
        others = [each for each in members.to_decide(engine, now, 0) if each is not chosen]
        if not others:
            return
        members.settle((name, None) for name in names(others))


def test_the_holder_is_who_holds_it_by_the_rule_whatever_happens():
    chance = random.Random(7)  # noqa: S311 - the same every time
    members, there = Members(), {}
    missed = settle(slot(trial()), at(500)).trials[0].status
    accepted = scheduled().status
    for step in range(500):
        name = f"trial-{chance.randrange(12)}"
        if chance.random() < 0.3:
            there.pop(name, None)
            members.drop(name)
        else:
            made = trial(
                name=name,
                uid=f"uid-{chance.randrange(40)}-{name}",
                created=-chance.randrange(20),
                deleted=chance.random() < 0.2,
                status=chance.choice([None, missed, accepted]),
            )
            there[name] = made
            members.put(made)
        owner = chance.choice([None, None, *there.values()])
        found = engine(owner) if owner is not None else None
        assert members.holder(found) == holder(tuple(there.values()), found), step


def test_a_change_of_one_of_many_is_all_that_is_decided_about():
    trials = many(1000)
    members = filled(trials)
    rested(members)
    assert names(members.to_decide(None, None, 0)) == ["trial-0"]
    members.put(trials[500])
    assert names(members.to_decide(None, None, 0)) == ["trial-0", "trial-500"]


def test_only_some_of_many_are_decided_about_at_once():
    members = filled(many(1000))
    assert len(members.to_decide(None, None, 0)) == 1 + module.MOST_AT_ONCE
    assert members.has_unsettled()


def test_all_are_decided_about_once_another_one_holds_the_id():
    members = filled(many(20))
    rested(members)
    members.drop("trial-0")
    seen = set()
    while members.has_unsettled() or not seen:
        chosen, *others = names(members.to_decide(None, None, 0))
        assert chosen == "trial-1"
        seen |= {*others}
        members.settle((name, None) for name in others)
    assert seen == {f"trial-{n}" for n in range(2, 20)}


def test_one_that_waits_is_decided_about_when_its_time_has_come():
    members = filled(many(3))
    rested(members)
    members.put(many(3)[2])
    members.to_decide(None, at(0), 0)
    members.settle([("trial-2", at(10))])
    assert members.next_wake() == at(10)
    assert names(members.to_decide(None, at(9), 0)) == ["trial-0"]
    assert names(members.to_decide(None, at(10), 0)) == ["trial-0", "trial-2"]
    assert members.next_wake() is None


@pytest.mark.parametrize("change", ["put", "drop"])
def test_a_time_that_was_waited_for_does_not_outlive_a(change):
    members = filled(many(3))
    members.to_decide(None, at(0), 0)
    members.settle([("trial-2", at(10))])
    members.put(many(3)[2]) if change == "put" else members.drop("trial-2")
    assert members.next_wake() is None


def test_what_registries_report_concerns_those_that_wait_for_one():
    waiting = trial(name="asks", uid="uid-9", created=0, startTime=None, registryRef={"name": "default"})
    members = filled([*many(3), waiting])
    rested(members)
    assert names(members.to_decide(None, None, 1)) == ["trial-0", "asks"]


def test_decide_settles_those_that_only_wait():
    others = [trial(name=name, uid=name, created=-10) for name in ("second", "third")]
    decision = decide(settle(slot(trial(), *others), at(-3000)), at(-3000))
    assert isinstance(decision, Wait)
    assert decision.rests == (("second", at(120.001)), ("third", at(120.001)))


def test_a_trial_with_something_to_do_is_not_settled():
    before = settle(slot(trial(), trial(name="second", uid="second", created=-10)), at(-3000))
    other = msgspec.structs.replace(before.trials[1], status=type(before.trials[1].status)())
    decision = decide(replace(before, trials=(before.trials[0], other)), at(-3000))
    assert decision.actions
    assert decision.rests == ()
