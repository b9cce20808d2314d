"""What becomes of each trial of a Lifecycle Manager in a namespace here. Pure.

The rule behind all of it: a trial may start here only once it is certain that it cannot start there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from lcm_operator.api import names
from lcm_operator.cli.legacy_page import LegacyPage, WaitingTrial
from lcm_operator.cli.legacy_times import TriggerError, start_of


class Step(Enum):
    """What remains to be done for a trial."""

    CREATE = "create a suspended Trial"
    NOTHING = "it is here, suspended, with the same start time"
    LEAVE = "it is not imported, or not resumed, and somebody must look"
    IGNORE = "it is not imported, because it has started there"
    RESUME = "set suspend to false"


@dataclass(frozen=True)
class Here:
    """A Trial of the namespace, as far as an import needs it."""

    name: str
    trial_id: str
    start: datetime | None
    suspended: bool
    state: str
    """'' while it waits; else that it has started or is over."""
    source: str
    """The source that it was imported from; '' if it was not imported."""
    accepted: bool
    problem: str
    """Why it could not start, as its condition Armed says."""
    raw: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One line of the report: a trial, its start time, and the step with the reason for it."""

    trial_id: str
    start: datetime | None
    step: Step
    detail: str
    here: Here | None = None

    def left(self, why: str) -> "Row":
        """Return the row of the same trial with which something did not work."""
        return replace(self, step=Step.LEAVE, detail=why)


def source_of(url: str) -> str:
    """Return the value of the label that ties a Trial to the service that it was imported from."""
    return names.hashed_name(url.rstrip("/").lower())


def here_of(raw: Mapping[str, Any]) -> Here:
    """Return a Trial from its JSON object."""
    metadata, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions", [])}
    finished, armed = conditions.get("Finished", {}), conditions.get("Armed", {})
    start = status.get("startTime") or spec.get("startTime")
    if metadata.get("deletionTimestamp"):
        state = "being deleted"
    elif finished.get("status") == "True":
        state = f"over ({finished['reason']})"
    else:
        state = "started" if status.get("startedTime") else ""
    return Here(
        name=metadata["name"],
        trial_id=spec.get("trialID", metadata["name"]),
        start=datetime.fromisoformat(start).astimezone(UTC) if start else None,
        suspended=bool(spec.get("suspend")),
        state=state,
        source=metadata.get("labels", {}).get(names.LABEL_IMPORTED_FROM, ""),
        accepted=conditions.get("Accepted", {}).get("status") == "True",
        problem=f"{armed['reason']}: {armed['message']}" if armed.get("status") == "False" else "",
        raw=raw,
    )


def rows_to_import(
    page: LegacyPage, trials: Iterable[Here], now: datetime, margin: timedelta, zone: ZoneInfo | None
) -> Iterator[Row]:
    """Yield a row for each trial of the page."""
    here: dict[str, Here] = {}
    for trial in trials:
        known = here.get(trial.trial_id)
        if known is None or known.state.startswith("over"):
            here[trial.trial_id] = trial
    seen: set[str] = set()
    for waiting in page.waiting:
        if waiting.trial_id in seen:
            yield Row(waiting.trial_id, None, Step.LEAVE, "it is listed there twice")
        elif waiting.trial_id not in page.engines:
            yield _row(waiting, here.get(waiting.trial_id), now, margin, zone)
        seen.add(waiting.trial_id)
    for trial_id, status in page.engines.items():
        what = "it runs there" if status == "active" else f"it has run there ({status})"
        found = here.get(trial_id)
        if found and not found.state.startswith("over"):
            where = found.state or ("suspended" if found.suspended else "waiting to start as well")
            text = f"{what}, and Trial {found.name} here is {where}: delete that Trial"
            yield Row(trial_id, found.start, Step.LEAVE, text, found)
        else:
            yield Row(trial_id, None, Step.IGNORE, what, found)
    for text in page.unreadable:
        yield Row("?", None, Step.LEAVE, f"its entry there cannot be read: {text}")


def _row(
    waiting: WaitingTrial, here: Here | None, now: datetime, margin: timedelta, zone: ZoneInfo | None
) -> Row:
    try:
        start = start_of(waiting.trigger, zone)
    except TriggerError as error:
        return Row(waiting.trial_id, None, Step.LEAVE, str(error), here)
    row = Row(waiting.trial_id, start, Step.LEAVE, "", here)
    if here is not None:
        return _row_of_known(row, here)
    if not 0 < len(waiting.trial_id) <= names.LONGEST_ID or not waiting.trial_id.isprintable():
        return row.left("a trial ID must have 1 to 253 characters and no control characters")
    if start <= now:
        return row.left("its start time has passed")
    if start <= now + margin:
        seconds = (start - now).total_seconds()
        return row.left(f"it starts in {seconds:.0f} s, within --margin: leave it to the old service")
    return replace(row, step=Step.CREATE)


def _row_of_known(row: Row, here: Here) -> Row:
    if here.state:
        return row.left(f"Trial {here.name} has this ID and is {here.state}")
    if not here.suspended:
        return row.left(f"Trial {here.name} is not suspended: BOTH would start it; suspend or delete it")
    if here.start is not None and here.start != row.start:
        return row.left(f"Trial {here.name} has another start time: {here.start:%Y-%m-%dT%H:%M:%SZ}")
    detail = f"Trial {here.name} exists, suspended"
    if here.start is None:
        detail += "; its start time is not known yet"
    return replace(row, step=Step.NOTHING, detail=detail)


def rows_to_resume(
    page: LegacyPage | None, trials: Iterable[Here], source: str, now: datetime
) -> Iterator[Row]:
    """Yield a row for each suspended Trial that was imported; `page`: None if the service is stopped."""
    waiting: AbstractSet[str] = {one.trial_id for one in page.waiting} if page else set()
    engines: Mapping[str, str] = page.engines if page else {}
    for trial in trials:
        if not trial.source or not trial.suspended or trial.state:
            continue
        row = Row(trial.trial_id, trial.start, Step.LEAVE, "", trial)
        if trial.source != source:
            yield row.left("it was imported from another address; resume it with that --from")
        elif page and page.unreadable:
            yield row.left(f"the old service may have it: an entry cannot be read: {page.unreadable[0]}")
        elif trial.trial_id in waiting:
            yield row.left("the old service still has it: remove it there, or use --take-over")
        elif trial.trial_id in engines:
            yield row.left(f"it has started there ({engines[trial.trial_id]}): delete Trial {trial.name}")
        elif trial.start is None:
            yield row.left("its start time is not known yet")
        elif trial.start <= now:
            yield row.left("its start time has passed: the old service may have started it")
        else:
            yield replace(row, step=Step.RESUME)


def manifest(row: Row, name: str, source: str, plan: str, registry: str | None) -> dict[str, Any]:
    """Return the Trial of a row, suspended."""
    assert row.start is not None  # noqa: S101 - only rows with a start time are created
    start = row.start.strftime("%Y-%m-%dT%H:%M:%SZ")
    when: dict[str, Any] = {"registryRef": {"name": registry}} if registry else {"startTime": start}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Trial",
        "metadata": {"name": name, "labels": {names.LABEL_IMPORTED_FROM: source}},
        "spec": {"trialID": row.trial_id, **when, "planRef": {"name": plan}, "suspend": True},
    }


def free_names(trial_id: str, taken: AbstractSet[str]) -> Iterator[str]:
    """Yield the names that the Trial of an ID can have here, as REST would choose them."""
    return (name for name in names.object_names(trial_id) if name not in taken)


def registries_that_import(registries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the TrialRegistries that create Trials, which are not suspended."""
    return [
        one["metadata"]["name"]
        for one in registries
        if one["spec"].get("import") == "All" and not one["spec"].get("suspend")
    ]
