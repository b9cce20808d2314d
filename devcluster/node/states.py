"""The state of a container, in the API's words: waiting, running or terminated.

Made from what `files` observes; `status` builds the pod's status from it.
"""

import os
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devcluster.node.files import ContainerFiles, Ended, Lost, NotBegun, Observed, Running

Json = dict[str, Any]

PROCESS_LOST = "ProcessLost"
_KILLED_BY_SIGNAL = 128
_MESSAGE_BYTES = 4096
_LOG_BYTES, _LOG_LINES = 2048, 80


@dataclass(frozen=True)
class Waiting:
    """Not begun."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Started:
    """Running, as this process."""

    started_at: float
    pid: int | None


@dataclass(frozen=True)
class Terminated:
    """Ended."""

    started_at: float
    finished_at: float
    exit_code: int
    reason: str
    message: str = ""
    signal: int | None = None


State = Waiting | Started | Terminated


def state_of(seen: Observed, files: ContainerFiles, container: Json, log: Path, now: float) -> State:
    """Return the state of the container; its message is read after it has ended."""
    match seen:
        case NotBegun():
            return Waiting("ContainerCreating")
        case Running():
            return Started(seen.started_at, seen.pid)
        case Lost():
            text = "its process was gone when the node came back, without a record of how it ended"
            killed = _KILLED_BY_SIGNAL + signal.SIGKILL
            return Terminated(seen.started_at, now, killed, PROCESS_LOST, text)
        case Ended():
            return _terminated(seen, files, container, log)


def _terminated(end: Ended, files: ContainerFiles, container: Json, log: Path) -> Terminated:
    if end.start_error:
        code = _KILLED_BY_SIGNAL
        return Terminated(end.started_at, end.finished_at, code, "StartError", end.start_error)
    code = os.waitstatus_to_exitcode(end.wait_status)
    by_signal = -code if code < 0 else None
    message = tail(files.termination_log, 0, _MESSAGE_BYTES)
    on_error = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    if not message and code and on_error:
        lines = tail(log, files.log_offset(), _LOG_BYTES).splitlines(keepends=True)
        message = "".join(lines[-_LOG_LINES:])
    return Terminated(
        end.started_at,
        end.finished_at,
        _KILLED_BY_SIGNAL + by_signal if by_signal else code,
        "Error" if code else "Completed",
        message,
        by_signal,
    )


def tail(file: Path, begin: int, size: int) -> str:
    """Return the last bytes of a file, of those from `begin` on."""
    try:
        with file.open("rb") as opened:
            end = opened.seek(0, os.SEEK_END)
            opened.seek(max(begin, end - size))
            return opened.read(size).decode(errors="replace")
    except FileNotFoundError:
        return ""


def timestamp(seconds: float) -> str:
    """Return the API's form of a time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
