"""The manifest of an Event."""

from datetime import UTC, datetime, timedelta, timezone

from lcm_operator.api.metadata import Metadata
from lcm_operator.kube.events import event

NOW = datetime(2026, 11, 24, 10, 0, 0, 5, tzinfo=UTC)
ABOUT = Metadata(name="example", namespace="lab", uid="trial-1")


def made(about=ABOUT, now=NOW, **changes):
    facts = {"reason": "Missed", "message": "too late", "warning": True} | changes
    return event("Trial", about, now=now, **facts)


def test_an_event_is_about_one_object_of_its_namespace():
    assert made()["involvedObject"] == {
        "apiVersion": "lcm.5gdrones.eu/v1alpha1",
        "kind": "Trial",
        "namespace": "lab",
        "name": "example",
        "uid": "trial-1",
    }
    assert made()["metadata"]["namespace"] == "lab"


def test_an_event_is_a_warning_or_not():
    assert made()["type"] == "Warning"
    assert made(warning=False)["type"] == "Normal"


def test_a_message_is_cut_at_1024_characters():
    assert len(made(message="x" * 5000)["message"]) == 1024


def test_a_message_of_other_letters_is_cut_at_1024_bytes():
    cut = made(message="ü" * 5000)["message"]
    assert len(cut.encode()) == 1024
    assert set(made(message="x" + "ü" * 5000)["message"]) == {"x", "ü"}


def test_two_events_of_one_moment_have_names_that_differ():
    assert made()["metadata"]["name"] != made()["metadata"]["name"]


def test_the_name_of_an_event_about_the_longest_name_is_a_name():
    assert len(made(about=Metadata(name="x" * 253, namespace="lab"))["metadata"]["name"]) <= 253


def test_the_times_of_an_event_are_in_utc():
    paris = made(now=NOW.astimezone(timezone(timedelta(hours=1))))
    assert paris["eventTime"] == made()["eventTime"] == "2026-11-24T10:00:00.000005Z"
    assert made()["firstTimestamp"] == "2026-11-24T10:00:00Z"
