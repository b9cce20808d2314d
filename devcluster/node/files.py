"""What the node keeps on disk of a pod, and what a container's files say about it.

    ROOT/pods/UID/pod.json                  which pod, since when
    ROOT/pods/UID/volumes/NAME/             the volumes' content
    ROOT/pods/UID/containers/NAME/claim     made and locked by the supervisor (launcher.py)
                                   exit     its record of the end
                                   termination-log, home/

Used by the pod's lifetime, and by the reaper without any API server. It must not start or end anything.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class NotBegun:
    """No supervisor has claimed the container, so nothing of it ever ran."""


@dataclass(frozen=True)
class Running:
    """Its supervisor lives."""

    supervisor: int
    pid: int | None
    started_at: float


@dataclass(frozen=True)
class Ended:
    """Its supervisor recorded the end: a wait status, or why the process could not be started."""

    started_at: float
    finished_at: float
    wait_status: int
    start_error: str = ""


@dataclass(frozen=True)
class Lost:
    """Its supervisor is gone without a record (killed, or the machine was restarted)."""

    started_at: float


Observed = NotBegun | Running | Ended | Lost


@dataclass(frozen=True)
class ContainerFiles:
    """The files of one container."""

    directory: Path

    @property
    def termination_log(self) -> Path:
        """What the container has to say about its end."""
        return self.directory / "termination-log"

    @property
    def home(self) -> Path:
        """Home and working directory, unless the pod says otherwise."""
        return self.directory / "home"

    def prepare(self) -> None:
        """Make the directories."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.termination_log.touch()

    def observe(self) -> Observed:
        """Return the state of the container."""
        try:
            claim = os.open(self.directory / "claim", os.O_RDONLY)
        except FileNotFoundError:
            return NotBegun()
        try:
            locked = _is_locked(claim)
            facts = _facts(os.pread(claim, 4096, 0))
        finally:
            os.close(claim)
        started_at = facts["startedAt"]
        if locked:
            return Running(facts["supervisor"], facts.get("pid"), started_at)
        try:
            end = json.loads((self.directory / "exit").read_text())
        except FileNotFoundError:
            return Lost(started_at)
        return Ended(started_at, end["finishedAt"], end.get("waitStatus", 0), end.get("startError", ""))

    def log_offset(self) -> int:
        """Return where in the log this container begins."""
        offset: int = _facts((self.directory / "claim").read_bytes())["logOffset"]
        return offset


@dataclass(frozen=True)
class PodFiles:
    """The files of one pod."""

    directory: Path

    @property
    def volumes(self) -> Path:
        """Where the volumes lie, one directory each."""
        return self.directory / "volumes"

    def container(self, name: str) -> ContainerFiles:
        """Return the files of one of its containers."""
        return ContainerFiles(self.directory / "containers" / name)

    def containers(self) -> Iterator[ContainerFiles]:
        """Return those of all its containers that were ever prepared."""
        for directory in sorted((self.directory / "containers").glob("*")):
            yield ContainerFiles(directory)

    def record(self) -> Json | None:
        """Return the notes about the pod, None if it is new here."""
        try:
            noted: Json = json.loads((self.directory / "pod.json").read_text())
        except FileNotFoundError:
            return None
        return noted

    def note(self, record: Json) -> None:
        """Replace the notes about the pod."""
        self.directory.mkdir(parents=True, exist_ok=True)
        draft = self.directory / "pod.json.new"
        draft.write_text(json.dumps(record))
        draft.replace(self.directory / "pod.json")

    def remove(self) -> None:
        """Remove all of it. The caller has made sure that nothing of the pod runs."""
        shutil.rmtree(self.directory, ignore_errors=True)


def pod_files(root: Path, uid: str) -> PodFiles:
    """Return the files of the pod of that UID."""
    return PodFiles(root / "pods" / uid)


def all_pods(root: Path) -> dict[str, PodFiles]:
    """Return the files of every pod of this node, by UID."""
    return {directory.name: PodFiles(directory) for directory in sorted((root / "pods").glob("*"))}


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _facts(claim: bytes) -> Json:
    """Join the lines of a claim; the supervisor may just be writing the last one."""
    facts: Json = {}
    for line in claim.splitlines(keepends=True):
        if line.endswith(b"\n"):
            facts |= json.loads(line)
    return facts
