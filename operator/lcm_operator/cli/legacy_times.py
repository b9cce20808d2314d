"""The start time in a trigger of /status: `date[2031-07-01 11:00:00 EEST]`. Pure.

A zone's abbreviation counts if it means one offset at that time in the whole time zone database; `EET` does,
`CST` does not. Nothing is guessed: otherwise the zone must be given.
"""

import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import cache

_TRIGGER = re.compile(
    r"(?:date\[)?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,6})?) ?"
    r"([A-Za-z]\w*)?([+-]\d\d:?(?:\d\d)?)?\]?",
    re.ASCII,
)
_ZERO = frozenset(("UTC", "GMT", "Z"))


class TriggerError(Exception):
    """The start time is not known; the text says why, and what to do."""


def start_of(trigger: str, zone: zoneinfo.ZoneInfo | None) -> datetime:
    """Return the start time in UTC; `zone` is that of the server, if known. Raises TriggerError."""
    parts = _TRIGGER.fullmatch(trigger.strip())
    try:
        local = datetime.fromisoformat(f"{parts[1]}T{parts[2]}") if parts else None
    except ValueError:
        local = None
    if parts is None or local is None:
        raise TriggerError(f"its trigger {trigger!r} has no start time")
    name, offset = parts[3] or "", parts[4]
    if offset and (not name or name in _ZERO):
        return _utc(local.replace(tzinfo=_fixed(offset)))
    if name in _ZERO:
        return _utc(local.replace(tzinfo=UTC))
    moments = set(_meant(local, name, zone) if zone else _anywhere(local, name))
    if len(moments) == 1:
        return moments.pop()
    if zone is None:
        what = f"{name} is not one known offset" if name else "it has no time zone"
        raise TriggerError(f"{local}: {what}; name the server's zone with --timezone")
    what = "occurs twice" if moments else f"is not {name}" if name else "does not occur"
    raise TriggerError(f"{local} {what} in {zone.key}; check --timezone")


def _fixed(offset: str) -> timezone:
    hours, minutes = int(offset[1:3]), int(offset[3:].lstrip(":") or "0")
    try:
        return timezone((-1 if offset[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))
    except ValueError as error:
        raise TriggerError(f"{offset} is no offset of a time zone") from error


def _meant(local: datetime, name: str, zone: zoneinfo.ZoneInfo) -> Iterator[datetime]:
    """Yield the times at which a clock of a zone shows `local`, and the zone's name is `name`, if given."""
    for fold in (0, 1):
        moment = local.replace(tzinfo=zone, fold=fold)
        utc = _utc(moment)
        shows = utc.astimezone(zone).replace(tzinfo=None) == local
        if shows and name in ("", moment.tzname()):
            yield utc


def _anywhere(local: datetime, name: str) -> Iterator[datetime]:
    for zone in _zones(name, local.year) if name else ():
        yield from _meant(local, name, zone)


@cache
def _zones(name: str, year: int) -> tuple[zoneinfo.ZoneInfo, ...]:
    """Return the zones of the database that are called `name` in the year."""
    days = [datetime(year, month, day, tzinfo=UTC) for month in range(1, 13) for day in (1, 15)]
    zones = map(zoneinfo.ZoneInfo, sorted(zoneinfo.available_timezones()))
    return tuple(zone for zone in zones if any(day.astimezone(zone).tzname() == name for day in days))


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise TriggerError(f"the year of {moment} is out of range") from error
