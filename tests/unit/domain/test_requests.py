"""Requests by annotation: which are open, which are answered, what the Trial still has to echo."""

import msgspec
import pytest
from tests.unit.domain.builders import asking, at, running

from lcm_operator.api.engine import Handled
from lcm_operator.domain.requests import Restore, answer, echo_due, open_restores


def asked(on="trial", **annotations):
    before = asking(running(), on=on, **annotations)
    assert before.engine is not None
    return before.trials[0], before.engine


def answered(this, restores, result="Done"):
    return msgspec.structs.replace(this, status=answer(this.status, restores, result, "as told", at(5)))


@pytest.mark.parametrize(
    ("on", "annotations", "expected"),
    [
        pytest.param("trial", {}, (), id="none without an annotation"),
        pytest.param("trial", {"restore": ""}, (), id="none for an empty ID"),
        pytest.param("trial", {"restore": "r1"}, (Restore("r1", True),), id="one on the trial"),
        pytest.param("engine", {"restore": "r1"}, (Restore("r1", False),), id="one on the engine"),
        pytest.param(
            "trial",
            {"restore": "r1", "restore_from": "r1/two"},
            (Restore("r1", True, "two"),),
            id="one from an activity",
        ),
        pytest.param(
            "trial",
            {"restore": "a/b", "restore_from": "a/b/two"},
            (Restore("a/b", True, "two"),),
            id="an ID may hold slashes",
        ),
        pytest.param(
            "trial",
            {"restore": "r2", "restore_from": "r1/two"},
            (Restore("r2", True),),
            id="an activity of another ID doesn't count",
        ),
        pytest.param("trial", {"restore_from": "r1/two"}, (), id="restore-from alone asks for nothing"),
    ],
)
def test_open_requests(on, annotations, expected):
    assert open_restores(*asked(on, **annotations)) == expected


@pytest.mark.parametrize("on", [pytest.param("trial", id="trial"), pytest.param("engine", id="engine")])
def test_an_answered_request_is_no_longer_open_while_a_new_one_is_on_the(on):
    trial, engine = asked(on, restore="r1")
    after = answered(engine, open_restores(trial, engine))
    assert open_restores(trial, after) == ()
    again = asking(running(), on=on, restore="r2")
    assert again.engine is not None
    with_both = msgspec.structs.replace(after, metadata=again.engine.metadata)
    assert [request.id for request in open_restores(again.trials[0], with_both)] == ["r2"]


def test_the_answer_is_echoed_on_the_trial_until_it_stands_there():
    trial, engine = asked(restore="r1")
    assert echo_due(trial, engine) is None
    after = answered(engine, open_restores(trial, engine))
    echo = echo_due(trial, after)
    assert echo == Handled(id="r1", time=at(5), result="Done", message="as told")
    status = msgspec.structs.replace(trial.status, last_handled_restore=echo)
    assert echo_due(msgspec.structs.replace(trial, status=status), after) is None


def test_what_was_asked_of_the_engine_itself_is_not_echoed_on_the_trial():
    trial, engine = asked("engine", restore="r1")
    assert echo_due(trial, answered(engine, open_restores(trial, engine))) is None


def test_nothing_is_echoed_without_an_engine():
    trial, _ = asked(restore="r1")
    assert echo_due(trial, None) is None


def test_only_the_last_twenty_requests_are_remembered():
    _, engine = asked()
    for number in range(25):
        engine = answered(engine, (Restore(f"r{number}", on_trial=True),))
    assert [taken.id for taken in engine.status.trial_requests] == [f"r{n}" for n in range(5, 25)]
