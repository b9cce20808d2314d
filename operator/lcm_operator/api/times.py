"""Times written by people and registries; computations with them never overflow. Pure.

A start time has one form wherever it enters: in a Trial (the rules of its CRD), by REST, from a registry.
"""

import re
from datetime import UTC, datetime, timedelta

import msgspec

START_TIME_FORM = re.compile(
    r"\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)", re.ASCII
)
"""As in tools/crds/common.yaml."""
_END = datetime(9999, 1, 1, tzinfo=UTC)
"""Year 9999 does not end in every time zone."""
_ROUNDED_UP = re.compile(r"\.9{6}[5-9]\d*")
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""The first start time that a Trial can have, as its CRD says."""

_LATEST = datetime.max.replace(tzinfo=UTC)


def later(moment: datetime, by: timedelta, margin: timedelta = timedelta(0)) -> datetime:
    """Return `moment` plus `by`, at most `margin` before the latest possible time.

    >>> later(datetime(9998, 1, 1, tzinfo=UTC), timedelta(days=9999)).year
    9999
    """
    return moment + min(by, _LATEST - moment - margin)


def parse_start_time(text: str) -> datetime | None:
    """Return a time `yyyy-mm-ddThh:mm:ss` with `Z`, `+zz:zz` or `+zzzz`, in UTC; None for anything else.

    A fraction of a second counts to the microsecond, rounded as in a Trial; but not up to the next second,
    which may be beyond the first or last time allowed.

    >>> parse_start_time("2021-02-09T15:12:20.5+02:00")
    datetime.datetime(2021, 2, 9, 13, 12, 20, 500000, tzinfo=datetime.timezone.utc)
    """
    if START_TIME_FORM.fullmatch(text) is None:
        return None
    try:
        moment = msgspec.convert(_ROUNDED_UP.sub(".999999", text), datetime).astimezone(UTC)
    except (
        msgspec.ValidationError,
        OverflowError,
    ):  # no such date, or none in UTC
        return None
    return moment if moment < _END else None


def in_utc(moment: datetime) -> str:
    """Return a time in UTC with `Z`, and with a fraction only if it has one.

    >>> in_utc(parse_start_time("2021-02-09T15:12:20+02:00"))
    '2021-02-09T13:12:20Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_reported_time(text: str) -> datetime | None:
    """Return `parse_start_time`, but None for a time that no Trial can have as its start time.

    >>> parse_reported_time("0001-01-01T00:00:00Z")
    """
    moment = parse_start_time(text)
    return moment if moment is not None and moment >= EARLIEST else None


def parse_read_time(text: str) -> datetime | None:
    """Return an RFC 3339 time with fractions of a second, in UTC; None for anything else.

    >>> parse_read_time("0001-01-01T00:00:00+23:59")
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
