"""Which start times the API server takes: RFC 3339 with an offset, by the letter."""

import pytest
from tests.cluster.crd_api import Api, engine, trial
from tests.harness.start_times import REFUSED, TAKEN


@pytest.fixture(scope="module")
def api(cluster):
    return Api(cluster)


@pytest.mark.parametrize("start_time", TAKEN)
def test_a_start_time_is_taken_as_it_is(api, start_time):
    assert api.admit(trial(startTime=start_time))["spec"]["startTime"] == start_time


@pytest.mark.parametrize("start_time", [*REFUSED, pytest.param(1795514400, id="a number")])
def test_another_start_time_is_refused(api, start_time):
    assert "spec.startTime" in api.refusal(trial(startTime=start_time))


def test_a_started_trial_may_write_its_start_time_in_another_form(api, cluster, namespace):
    made = trial(startTime="2031-11-24T10:00:00+0200")
    made["metadata"]["namespace"] = namespace
    api.admit(made, namespace, dry_run=False)
    name = made["metadata"]["name"]
    api.patch_status("Trial", namespace, name, {"startedTime": "2026-11-24T10:00:00Z"})
    change = ("patch", f"--namespace={namespace}", "trial", name, "--type=merge")
    cluster.kubectl(*change, '--patch={"spec": {"startTime": "2031-11-24T08:00:00.000Z"}}')
    with pytest.raises(Exception, match=r"spec.startTime can't be changed"):
        cluster.kubectl(*change, '--patch={"spec": {"startTime": "2031-11-24T08:00:00+0200"}}')


def test_the_refusal_of_a_time_out_of_range_says_what_is_allowed(api):
    said = api.refusal(trial(startTime="1970-01-01T00:00:00Z"))

    assert "startTime must be a date that exists, in the years 2000 to 9998" in said


@pytest.mark.parametrize(
    "start_time",
    [
        pytest.param("2026-11-24T10:00:00", id="no zone"),
        pytest.param("2026-11-24T10:00:00 EET", id="a zone by name"),
        pytest.param("24.11.2026 10:00", id="another form"),
    ],
)
def test_the_refusal_of_a_time_shows_an_example_and_no_pattern(api, start_time):
    said = api.refusal(trial(startTime=start_time))

    assert "a date and time with its UTC offset, in RFC 3339: 2026-11-24T10:00:00+02:00" in said
    assert "[0-9]" not in said
    assert "date-time" not in said


def test_the_refusal_of_a_day_that_does_not_exist_says_so(api):
    assert "startTime must be a date that exists" in api.refusal(trial(startTime="2026-02-30T10:00:00Z"))


def test_the_start_time_of_an_engine_is_as_strict(api):
    assert "spec.startTime" in api.refusal(engine(startTime="2026-11-24T10:00:00"))
