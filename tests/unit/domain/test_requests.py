"""Requests by annotation: which are open, which are answered, what the Trial still has to echo."""

import msgspec
import pytest
from tests.unit.domain.builders import asking, at, running

from lcm_operator.api.engine import Handled
from lcm_operator.api.trial import TrialStatus
from lcm_operator.domain.requests import (
    Request,
    answer,
    echo,
    ignored_restore,
    open_deletes,
    open_restores,
)


def asked(on="trial", **annotations):
    before = asking(running(), on=on, **annotations)
    assert before.engine is not None
    return before.trials[0], before.engine


def answered(this, restores, result="Done"):
    return msgspec.structs.replace(this, status=answer(this.status, restores, result, "as told", at(5)))


@pytest.mark.parametrize(
    ("on", "annotations", "expected"),
    [
        pytest.param("trial", {}, [], id="none without an annotation"),
        pytest.param("trial", {"restore": ""}, [], id="none for an empty ID"),
        pytest.param("trial", {"restore": "r1"}, [("r1", True, None)], id="one on the trial"),
        pytest.param("engine", {"restore": "r1"}, [("r1", False, None)], id="one on the engine"),
        pytest.param(
            "trial",
            {"restore": "r1", "restore_from": "r1/two"},
            [("r1", True, "two")],
            id="one from an activity",
        ),
        pytest.param(
            "trial",
            {"restore": "a/b", "restore_from": "a/b/two"},
            [("a/b", True, "two")],
            id="an ID may hold slashes",
        ),
        pytest.param(
            "trial",
            {"restore": "r2", "restore_from": "r1/two"},
            [("r2", True, None)],
            id="an activity of another ID doesn't count",
        ),
        pytest.param("trial", {"restore_from": "r1/two"}, [], id="restore-from alone asks for nothing"),
    ],
)
def test_open_requests(on, annotations, expected):
    found = open_restores(*asked(on, **annotations))
    assert [(request.id, request.on_trial, request.from_activity) for request in found] == expected


@pytest.mark.parametrize("on", [pytest.param("trial", id="trial"), pytest.param("engine", id="engine")])
def test_an_answered_request_is_no_longer_open_while_a_new_one_is_on_the(on):
    trial, engine = asked(on, restore="r1")
    after = answered(engine, open_restores(trial, engine))
    assert open_restores(trial, after) == ()
    again = asking(running(), on=on, restore="r2")
    assert again.engine is not None
    with_both = msgspec.structs.replace(after, metadata=again.engine.metadata)
    assert [request.id for request in open_restores(again.trials[0], with_both)] == ["r2"]


def test_the_answer_is_echoed_on_the_trial_and_stays_there():
    trial, engine = asked(restore="r1")
    assert echo("Restore", trial, engine) is None
    after = answered(engine, open_restores(trial, engine))
    shown = echo("Restore", trial, after)
    assert shown == Handled(id="r1", time=at(5), result="Done", message="as told")
    status = msgspec.structs.replace(trial.status, last_handled_restore=shown)
    assert echo("Restore", msgspec.structs.replace(trial, status=status), engine) == shown


def test_what_was_asked_of_the_engine_itself_is_not_echoed_on_the_trial():
    trial, engine = asked("engine", restore="r1")
    assert echo("Restore", trial, answered(engine, open_restores(trial, engine))) is None


def test_deletes_and_restores_do_not_meet_though_they_have_the_same_id():
    trial, engine = asked(restore="r1", delete="r1")
    after = answered(engine, open_restores(trial, engine))
    assert open_restores(trial, after) == ()
    assert [request.kind for request in open_deletes(trial, after)] == ["Delete"]
    both = answered(after, open_deletes(trial, after))
    assert open_deletes(trial, both) == ()
    assert echo("Delete", trial, both) is not None


def test_a_delete_on_the_engine_is_open_without_a_trial_as_well():
    _, engine = asked("engine", delete="d1")
    (request,) = open_deletes(None, engine)
    after = answered(engine, (request,))
    assert open_deletes(None, after) == ()
    assert after.status.last_handled_delete is not None
    assert after.status.last_handled_restore is None


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        pytest.param({"restore": "x" * 254}, "at most 253", id="its ID is too long"),
        pytest.param({"restore": "r1", "restore_from": "two"}, "<request ID>/<activity>", id="no ID"),
        pytest.param({"restore": "r1", "restore_from": "r1/"}, "<request ID>/<activity>", id="no activity"),
    ],
)
def test_a_request_is_refused_whatever_happens_if_it_has(annotations, words):
    trial, engine = asked(**annotations)
    (request,) = open_restores(trial, engine)
    assert words in request.fault
    after = answered(engine, (request,))
    (taken,) = after.status.trial_requests
    assert (taken.result, len(taken.id) <= 253) == ("Refused", True)
    assert open_restores(trial, after) == ()


def test_an_id_of_253_characters_is_not_too_long():
    trial, engine = asked(restore="x" * 253)
    (request,) = open_restores(trial, engine)
    assert request.fault == ""


def test_a_malformed_restore_from_is_no_fault_of_a_delete():
    trial, engine = asked(delete="d1", restore_from="two")
    (request,) = open_deletes(trial, engine)
    assert request.fault == ""


def test_what_was_shown_of_deletes_and_restores_is_kept_apart():
    trial, engine = asked()
    delete = Handled(id="d1", time=at(5), result="Done")
    restore = Handled(id="r1", time=at(5), result="Merged")
    status = msgspec.structs.replace(trial.status, last_handled_delete=delete, last_handled_restore=restore)
    shown = msgspec.structs.replace(trial, status=status)
    assert (echo("Delete", shown, engine), echo("Restore", shown, engine)) == (delete, restore)


def test_the_message_of_an_answer_fits_into_the_status():
    trial, engine = asked(restore="r1")
    status = answer(engine.status, open_restores(trial, engine), "Refused", "x" * 5000, at(5))
    assert len(status.trial_requests[0].message) == 1024


def test_a_restore_on_a_trial_never_seen_before_is_ignored():
    trial, _ = asked(restore="r1")
    fresh = msgspec.structs.replace(trial, status=TrialStatus())
    answered_now = ignored_restore(fresh, at(5))
    assert answered_now is not None
    assert (answered_now.id, answered_now.result) == ("r1", "Ignored")
    assert ignored_restore(trial, at(5)) is None


def test_only_the_last_twenty_requests_are_remembered():
    _, engine = asked()
    for number in range(25):
        engine = answered(engine, (Request("Restore", f"r{number}", on_trial=True),))
    assert [taken.id for taken in engine.status.trial_requests] == [f"r{n}" for n in range(5, 25)]
