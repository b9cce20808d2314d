"""`lcm import --from URL`: schedules here what a Lifecycle Manager 0.1.1 or 1.0.2 has scheduled.

Trials are created suspended, so that none starts twice. `--resume` lets those start that the old service no
longer has; `--take-over` removes each trial there first. A Trial must never be resumed before it is certain
that the old service cannot start it.

The exit code is 0 if everything was done, 1 if a trial needs attention (its line says why), and 2 if nothing
was done: wrong arguments, no answer from the old service or the cluster.
"""

import argparse
import sys
import time
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from lcm_operator.api.printable import printable
from lcm_operator.cli.cluster import Cluster, ClusterError, ExistsError
from lcm_operator.cli.import_trials import (
    Here,
    Row,
    Step,
    free_names,
    here_of,
    manifest,
    registries_that_import,
    rows_to_import,
    rows_to_resume,
    source_of,
)
from lcm_operator.cli.legacy_server import LegacyServer, ServerError
from lcm_operator.kube.clock import elapsed

DONE, ATTENTION, NOTHING_DONE = 0, 1, 2
_ACCEPT_SECONDS = 30.0
_AT_ONCE = 50
_DONE_WORDS = {Step.CREATE: "imported", Step.NOTHING: "here already", Step.RESUME: "resumed"}
_WOULD_WORDS = {Step.CREATE: "would import", Step.NOTHING: "here already", Step.RESUME: "would resume"}


class ImportFailedError(Exception):
    """Nothing was done; the text says why."""


def run(given: argparse.Namespace) -> int:
    """Import, print a line for each trial, and return the exit code."""
    try:
        return _Import(given).run()
    except (ImportFailedError, ServerError, ClusterError, OSError) as error:
        _say(f"nothing was done: {error}")
        return NOTHING_DONE


class _Import:
    """One run of the command."""

    def __init__(self, given: argparse.Namespace) -> None:
        parts = urllib.parse.urlsplit(given.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ImportFailedError("--from: must be an address such as http://lcm:5000, without a login")
        self._given = given
        self._zone = _zone(given.timezone)
        self._server = LegacyServer(given.url, _key(given.key_file), given.ca_file)
        self._source = source_of(given.url)
        self._cluster = Cluster(given.context, given.namespace, given.kubeconfig)

    def run(self) -> int:
        if self._given.stopped and not self._given.resume:
            raise ImportFailedError("--stopped goes with --resume: a service that is stopped lists no trials")
        rows = self._resume() if self._given.resume else self._import()
        self._report(rows)
        return ATTENTION if any(row.step is Step.LEAVE for row in rows) else DONE

    def _import(self) -> list[Row]:
        given, page = self._given, self._server.page()
        if given.take_over and page.automatic:
            raise ImportFailedError(
                "the old service schedules by itself what its registry lists, and would add trials again: "
                f"turn that off first (POST {self._server.url}/trial/scheduling)"
            )
        registries = self._cluster.registries()
        if given.registry and given.registry not in [one["metadata"]["name"] for one in registries]:
            raise ImportFailedError(
                f"TrialRegistry {given.registry} does not exist in {self._cluster.namespace}"
            )
        if not self._cluster.has_plan(given.plan):
            text = f"TrialPlan {given.plan} does not exist in namespace {self._cluster.namespace}"
            if given.take_over and not given.dry_run:
                raise ImportFailedError(
                    f"{text}, so the trials could not start: create it, or name another --plan"
                )
            _say(f"warning: {text}: the trials cannot start until it does")
        for name in registries_that_import(registries):
            _say(f"warning: TrialRegistry {name} imports trials by itself, and these are not suspended")
        trials, margin = self._trials(), timedelta(seconds=given.margin)
        rows = list(rows_to_import(page, trials, self._cluster.now(), margin, self._zone))
        if given.output == "yaml":
            self._print_manifests(rows, trials)
        if given.dry_run:
            return rows
        rows = list(self._create(rows, {trial.name for trial in trials}))
        return self._take_over(rows) if given.take_over else rows

    def _trials(self) -> list[Here]:
        return [here_of(raw) for raw in self._cluster.trials()]

    def _print_manifests(self, rows: Sequence[Row], trials: Sequence[Here]) -> None:
        taken = {trial.name for trial in trials}
        manifests = []
        for row in rows:
            if row.step is Step.CREATE:
                name = next(free_names(row.trial_id, taken))
                taken.add(name)
                manifests.append(self._manifest(row, name))
        sys.stdout.write(yaml.safe_dump_all(manifests, sort_keys=False, explicit_start=True))

    def _manifest(self, row: Row, name: str) -> dict[str, Any]:
        return manifest(row, name, self._source, self._given.plan, self._given.registry)

    def _create(self, rows: Iterable[Row], taken: set[str]) -> Iterator[Row]:
        for row in rows:
            yield self._created(row, taken) if row.step is Step.CREATE else row

    def _created(self, row: Row, taken: set[str]) -> Row:
        for name in free_names(row.trial_id, taken):
            try:
                self._cluster.create(self._manifest(row, name))
            except ExistsError:
                taken.add(name)
            except ClusterError as error:
                return row.left(f"not imported: {error}")
            else:
                taken.add(name)
                return replace(row, detail=f"Trial {name}, suspended")
        raise AssertionError("names never end")  # pragma: no cover

    def _take_over(self, rows: Sequence[Row]) -> list[Row]:
        """Remove trials there, a few at a time, and resume those that are certainly removed."""
        trials = sorted(self._accepted(rows), key=lambda trial: trial.accepted)  # a duplicate is not
        found = {trial.trial_id: trial for trial in trials}
        done: dict[str, Row] = {}
        ready = []
        for row in rows:
            if row.step in (Step.CREATE, Step.NOTHING):
                trial = found.get(row.trial_id)
                why = "it was deleted meanwhile" if trial is None else self._obstacle(row, trial)
                if why:
                    done[row.trial_id] = row.left(f"suspended, and the old service keeps it: {why}")
                else:
                    ready.append(replace(row, here=trial))
        for begin in range(0, len(ready), _AT_ONCE):
            done |= {row.trial_id: row for row in self._moved(ready[begin : begin + _AT_ONCE])}
        return [row if row.step is Step.LEAVE else done.get(row.trial_id, row) for row in rows]

    def _accepted(self, rows: Sequence[Row]) -> list[Here]:
        """Return the Trials once the operator has accepted those of the rows, or some time has passed."""
        wanted = {row.trial_id for row in rows if row.step in (Step.CREATE, Step.NOTHING)}
        end = elapsed() + _ACCEPT_SECONDS
        while True:
            trials = [trial for trial in self._trials() if not trial.state]
            if wanted <= {trial.trial_id for trial in trials if trial.accepted} or elapsed() > end:
                return trials
            time.sleep(1)

    def _obstacle(self, row: Row, trial: Here) -> str:
        """Return why a trial must stay with the old service."""
        margin = timedelta(seconds=self._given.margin)
        if trial.source != self._source:
            return f"Trial {trial.name} was not imported from there"
        if not trial.accepted:
            return "the operator has not accepted it (does it run?)"
        if trial.problem and not trial.problem.startswith(("Waiting", "Suspended")):
            return f"it could not start here: {trial.problem}"
        if row.start is None or row.start <= self._cluster.now() + margin:
            return "it starts within --margin"
        return ""

    def _moved(self, rows: Sequence[Row]) -> Iterator[Row]:
        answers: dict[str, str] = {}
        for row in rows:
            try:
                answers[row.trial_id] = self._server.remove(row.trial_id)
            except ServerError as error:
                answers[row.trial_id] = str(error)
        try:
            page = self._server.page()
        except ServerError as error:
            yield from (
                row.left(f"suspended; whether the old service has it is not known: {error}") for row in rows
            )
            return
        waiting = {one.trial_id for one in page.waiting}
        for row in rows:
            if row.trial_id in page.engines:
                yield row.left(
                    f"suspended; it has started there: delete Trial {row.here.name if row.here else ''}"
                )
            elif answers[row.trial_id] or row.trial_id in waiting or page.unreadable:
                why = answers[row.trial_id] or "the old service lists it again"
                yield row.left(f"suspended: {why}")
            else:
                yield self._resumed(row, "removed there, starts here")

    def _resume(self) -> list[Row]:
        if self._given.stopped:
            self._server.must_be_stopped()
        page = None if self._given.stopped else self._server.page()
        rows = list(rows_to_resume(page, self._trials(), self._source, self._cluster.now()))
        if self._given.dry_run:
            return rows
        return [self._resumed(row, "starts here") if row.step is Step.RESUME else row for row in rows]

    def _resumed(self, row: Row, detail: str) -> Row:
        assert row.here is not None  # noqa: S101 - such rows have their Trial
        try:
            self._cluster.resume(dict(self._cluster.trial(row.here.name)))
        except ClusterError as error:
            hint = "it starts NOWHERE until you repeat this command with --resume"
            return row.left(f"still suspended: {error}; {hint}")
        return replace(row, step=Step.RESUME, detail=f"Trial {row.here.name} {detail}")

    def _report(self, rows: Sequence[Row]) -> None:
        words = _WOULD_WORDS if self._given.dry_run else _DONE_WORDS
        failed = "not resumed" if self._given.resume else "not imported"
        if self._given.take_over:
            failed = "not taken over"
        out = sys.stderr if self._given.output == "yaml" else sys.stdout
        lines = [("TRIAL ID", "START (UTC)", "RESULT", "DETAIL")]
        for row in rows:
            start = f"{row.start:%Y-%m-%d %H:%M:%S}" if row.start else "-"
            word = words.get(row.step, "left there" if row.step is Step.IGNORE else failed)
            lines.append((_line(row.trial_id), start, word, _line(row.detail)))
        widths = [max(len(line[column]) for line in lines) for column in range(3)]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=False))
            print("  ".join((*cells, line[3])).rstrip(), file=out)
        counts = {line[2]: sum(each[2] == line[2] for each in lines[1:]) for line in lines[1:]}
        print(", ".join(f"{count} {word}" for word, count in counts.items()) or "no trials", file=out)
        if not self._given.dry_run and any(row.step is Step.CREATE for row in rows):
            _say("the imported Trials are suspended: none starts here until --take-over or --resume")


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ImportFailedError(f"--timezone: no time zone {name!r}") from error
    except KeyError as error:
        raise ImportFailedError(
            f"--timezone: no time zone {name!r}; give one such as Europe/Helsinki"
        ) from error


def _key(file: str | None) -> str | None:
    if file is None:
        return None
    key = (sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")).strip()
    if not key.isascii() or not key.isprintable() or not key:
        raise ImportFailedError("--key-file: the key must be one line of printable ASCII characters")
    return key


def _line(text: str) -> str:
    """Return text from outside as one line."""
    return printable(" ".join(text.splitlines()))


def _say(text: str) -> None:
    print(f"lcm import: {_line(text)}", file=sys.stderr)
