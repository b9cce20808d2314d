"""Request annotations without effect leave an Event on their object."""

from tests.cluster.operator_harness import OperatorHarness, in_seconds, nap


def test_each_annotation_without_effect_leaves_one_event(harness: OperatorHarness):
    trial = harness.trial("mine", start=in_seconds(3600))

    harness.annotate(trial, restor="x")
    harness.wait(lambda: any("did you mean" in text for text in harness.events("UnknownAnnotation")))
    harness.annotate(trial, delete="")
    harness.wait(lambda: any("is empty" in text for text in harness.events("UnknownAnnotation")))
    trial.patch({"spec": {"suspend": True}})
    harness.until(trial, lambda status: status["observedGeneration"] == trial.obj["metadata"]["generation"])

    assert len(harness.events("UnknownAnnotation")) == 2


def test_a_restore_from_a_missing_activity_names_the_nearest_one(harness: OperatorHarness):
    trial = harness.trial(
        "mine", start=in_seconds(3), activities=[nap(), {"name": "fly", "sleep": {"seconds": 1}}]
    )
    harness.until_condition(trial, "Succeeded", "True", "Completed")

    harness.annotate(trial, restore="a", restore_from="a/fyl")
    harness.wait(lambda: any("did you mean fly?" in text for text in harness.events("RequestRefused")))


def test_a_request_id_that_was_answered_before_leaves_an_event(harness: OperatorHarness):
    trial = harness.trial("mine", start=in_seconds(3))
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    for request in ("a", "b", "a"):
        harness.annotate(trial, restore=request)
        harness.until(
            trial, lambda status, name=request: status.get("lastHandledRestore", {}).get("id") == name
        )

    harness.wait(lambda: any("use a new ID" in text for text in harness.events("RequestRefused")))
