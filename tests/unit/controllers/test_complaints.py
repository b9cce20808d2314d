"""What can't be read of an object is one log line and one Event, however often it is seen."""

import logging

import pytest

from lcm_operator.api import reasons
from lcm_operator.api.metadata import Metadata
from lcm_operator.controllers.complaints import Complaints

ABOUT = Metadata(name="x", namespace="n", uid="u-1")


def reported(complaints):
    made = []
    complaints.report(lambda *reported, **how: made.append((*reported, how)))
    return made


def test_object_seen_again_is_neither_logged_nor_reported_again(caplog):
    complaints = Complaints()
    with caplog.at_level(logging.WARNING):
        for version in range(5):
            complaints.note(
                "Trial", Metadata(name="x", namespace="n", uid="u-1", resource_version=str(version)), "w"
            )
    ((kind, about, reason, why, how),) = reported(complaints)
    assert (kind, about.uid, reason, why) == ("Trial", "u-1", reasons.MALFORMED, "w")
    assert how == {"warning": True, "once": True, "detail": ""}
    assert len(caplog.records) == 1
    assert reported(complaints) == []


@pytest.mark.parametrize(
    ("about", "why"),
    [
        pytest.param(ABOUT, "another reason", id="for another reason"),
        pytest.param(Metadata(name="x", namespace="n", uid="u-2"), "w", id="of another object of its name"),
    ],
)
def test_what_is_new_is_reported(about, why):
    complaints = Complaints()
    complaints.note("Trial", ABOUT, "w")
    reported(complaints)
    complaints.note("Trial", about, why)
    assert [(shown[1].uid, shown[3]) for shown in reported(complaints)] == [(about.uid, why)]


def test_object_that_can_be_read_again_is_not_reported():
    complaints = Complaints()
    complaints.note("Trial", ABOUT, "w")
    complaints.note("Trial", ABOUT, "")
    assert reported(complaints) == []
    complaints.note("Trial", ABOUT, "w")
    assert len(reported(complaints)) == 1


def test_new_leader_reports_what_it_saw_as_a_standby():
    complaints = Complaints()
    complaints.note("Trial", ABOUT, "w")
    complaints.note("TrialPlan", ABOUT, "v")
    reported(complaints)
    complaints.forget("TrialPlan", "n", "x")
    complaints.begin_term()
    assert [shown[0] for shown in reported(complaints)] == ["Trial"]


def test_annotations_without_effect_are_reported_beside_what_is_unreadable():
    complaints = Complaints()
    complaints.note("Trial", ABOUT, "w")
    complaints.note("Trial", ABOUT, "restor?", reasons.UNKNOWN_ANNOTATION)
    made = {shown[2]: (shown[3], shown[4]["detail"]) for shown in reported(complaints)}
    assert made == {reasons.MALFORMED: ("w", ""), reasons.UNKNOWN_ANNOTATION: ("restor?", "restor?")}
    complaints.forget("Trial", "n", "x")
    complaints.begin_term()
    assert reported(complaints) == []
