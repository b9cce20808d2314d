"""Which start times the API server takes: RFC 3339 with an offset, by the letter."""

import pytest
from tests.cluster.crd_api import Api, engine, trial


@pytest.fixture(scope="module")
def api(cluster):
    return Api(cluster)


@pytest.mark.parametrize(
    "start_time",
    [
        pytest.param("2026-11-24T10:00:00Z", id="UTC"),
        pytest.param("2026-11-24T10:00:00+02:00", id="an offset"),
        pytest.param("2026-11-24T10:00:00-12:00", id="the offset furthest west"),
        pytest.param("2026-11-24T10:00:00+14:00", id="the offset furthest east"),
        pytest.param("2026-11-24T10:00:00+05:45", id="an offset with minutes"),
        pytest.param("2026-11-24T10:00:00-00:00", id="an offset of minus nothing"),
        pytest.param("2026-11-24T10:00:00.123456789Z", id="nanoseconds"),
        pytest.param("2026-11-24T10:00:00.5+02:00", id="half a second"),
        pytest.param("2028-02-29T10:00:00Z", id="a leap day"),
        pytest.param("2000-02-29T23:59:59Z", id="the leap day of a century divisible by 400"),
        pytest.param("2000-01-01T00:00:00Z", id="the first instant allowed"),
        pytest.param("9998-12-31T23:59:59.999999999Z", id="the last instant allowed"),
        pytest.param("2026-12-31T23:59:59Z", id="the last second of a year"),
    ],
)
def test_a_start_time_is_taken_as_it_is(api, start_time):
    assert api.admit(trial(startTime=start_time))["spec"]["startTime"] == start_time


@pytest.mark.parametrize(
    "start_time",
    [
        pytest.param("2026-11-24T10:00:00", id="no offset"),
        pytest.param("2026-11-24 10:00:00Z", id="a blank for T"),
        pytest.param("2026-11-24t10:00:00Z", id="a small t"),
        pytest.param("2026-11-24T10:00:00z", id="a small z"),
        pytest.param("2026-11-24T10:00:00+0200", id="an offset without a colon"),
        pytest.param("2026-11-24T10:00:00+02", id="an offset without minutes"),
        pytest.param("2026-11-24T10:00:00+2:00", id="an offset of one digit"),
        pytest.param("2026-11-24T10:00:00+99:99", id="an offset beyond a day"),
        pytest.param("2026-11-24T10:00:00+24:00", id="an offset of a whole day"),
        pytest.param("2026-11-24T10:00:00+02:60", id="an offset of sixty minutes"),
        pytest.param("2026-11-24T10:00:00 +02:00", id="a blank before the offset"),
        pytest.param("2026-11-24T10:00:00UTC", id="a zone by name"),
        pytest.param("2026-11-24T10:00:00x5Z", id="a letter for the point"),
        pytest.param("2026-11-24T10:00:00,5Z", id="a comma for the point"),
        pytest.param("2026-11-24T10:00:00.Z", id="a point without digits"),
        pytest.param("2026-11-24T10:00:00.1234567890Z", id="ten digits after the point"),
        pytest.param("2026-11-24T10:00Z", id="no seconds"),
        pytest.param("2026-11-24", id="a date alone"),
        pytest.param("2026-02-30T10:00:00Z", id="the 30th of February"),
        pytest.param("2027-02-29T10:00:00Z", id="a leap day in a common year"),
        pytest.param("2100-02-29T10:00:00Z", id="a leap day in a century not divisible by 400"),
        pytest.param("2026-04-31T10:00:00Z", id="the 31st of April"),
        pytest.param("2026-13-01T10:00:00Z", id="a thirteenth month"),
        pytest.param("2026-00-10T10:00:00Z", id="month nought"),
        pytest.param("2026-11-00T10:00:00Z", id="day nought"),
        pytest.param("2026-11-24T24:00:00Z", id="hour 24"),
        pytest.param("2026-11-24T10:60:00Z", id="minute 60"),
        pytest.param("2026-11-24T10:00:60Z", id="a leap second"),
        pytest.param("1999-12-31T23:59:59Z", id="before 2000"),
        pytest.param("0001-01-01T00:00:00Z", id="the zero of Go"),
        pytest.param("9999-01-01T00:00:00Z", id="after 9998"),
        pytest.param("9998-12-31T23:59:59-00:01", id="after 9998 by its offset"),
        pytest.param("12026-11-24T10:00:00Z", id="a year of five digits"),
        pytest.param("-2026-11-24T10:00:00Z", id="a year before nought"),
        pytest.param("2026-W48-2T10:00:00Z", id="a week date"),
        pytest.param("2026-11-24T10:00:00Z\n", id="a line feed after it"),
        pytest.param(" 2026-11-24T10:00:00Z", id="a blank before it"),
        pytest.param("٢٠٢٦-11-24T10:00:00Z", id="digits of another script"),
        pytest.param("", id="nothing"),
        pytest.param("tomorrow", id="a word"),
        pytest.param(1795514400, id="a number"),
    ],
)
def test_another_start_time_is_refused(api, start_time):
    assert "spec.startTime" in api.refusal(trial(startTime=start_time))


def test_the_refusal_of_a_time_out_of_range_says_what_is_allowed(api):
    said = api.refusal(trial(startTime="1970-01-01T00:00:00Z"))

    assert "startTime must be a date that exists, in the years 2000 to 9998" in said


@pytest.mark.parametrize(
    "start_time",
    [
        pytest.param("2026-11-24T10:00:00", id="no zone"),
        pytest.param("2026-11-24T10:00:00+0200", id="an offset without a colon"),
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
