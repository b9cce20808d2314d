"""Start times as people and registries write them."""

from datetime import UTC, datetime

import pytest

from lcm_operator.api.times import parse_start_time


@pytest.mark.parametrize(
    "text",
    [
        "2031-01-01T10:00:00+02:00",
        "2031-01-01T08:00:00Z",
        "2031-01-01T10:00:00+0200",
        "2031-01-01T03:00:00-05:00",
    ],
)
def test_an_offset_is_honoured(text: str):
    assert parse_start_time(text) == datetime(2031, 1, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2031-01-01T10:00:00",
        "2031-01-01T10:00:00+02",
        "2031-01-01T10:00:00.5Z",
        "2031-01-01 10:00:00Z",
        "2031-01-01t10:00:00z",
        "2031-02-30T10:00:00Z",
        "2031-01-01T25:00:00Z",
        "2031-01-01T24:00:00Z",
        "2031-01-01T23:59:60Z",
        "2031-01-01T10:00:00+99:99",
        "2031-01-01T10:00:00+24:00",
        "2031-01-01T10:00:00+02:60",
        "2031-01-01T10:00:00+00:99",
        "9999-01-01T00:00:00Z",
        "9998-12-31T23:59:59-00:01",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
        "٢٠٣١-01-01T10:00:00Z",
        "2031-01-01T10:00:00Z\n",
        "",
    ],
)
def test_everything_else_is_none(text: str):
    assert parse_start_time(text) is None
