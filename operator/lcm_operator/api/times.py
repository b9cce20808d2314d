"""Start times as people and registries write them. Pure; used by the registry client and the REST sidecar."""

import re
from datetime import UTC, datetime

_FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:?\d{2})", re.ASCII)


def parse_start_time(text: str) -> datetime | None:
    """Return the instant of `yyyy-mm-ddThh:mm:ss` with `Z`, `+zz:zz` or `+zzzz`, in UTC; None for all else.

    >>> parse_start_time("2021-02-09T15:12:20+02:00")
    datetime.datetime(2021, 2, 9, 13, 12, 20, tzinfo=datetime.timezone.utc)
    """
    if _FORM.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # no such date, or one before year 1 or after 9999 in UTC
        return None
