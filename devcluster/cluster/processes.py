"""Background processes that outlive their starter, each known by its pid file.

The pid file of a living process is locked: the lock is taken before the fork, inherited by the process and
dropped by the kernel when it ends, however it ends. So a pid that was given to somebody else by now, a zombie
or a machine that was restarted is never taken for a process of ours, and a process that is just about to
begin is seen too. The process writes its own pid before it becomes the program: who finds the file
locked and empty only has to wait a moment.

Used by `cluster` and `guard`. It must not know what the programs are.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.failure import LocalClusterError
from devcluster.waiting import wait_until

_WRITE_PID_AND_BECOME = 'echo $$ >"$0"; exec "$@"'

# Children of this very process, kept so that they can be reaped.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Background:
    """A process by its pid file and its log, running or not."""

    pid_file: Path
    log_file: Path

    @property
    def name(self) -> str:
        """Its name, such as etcd or operator."""
        return self.pid_file.stem

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it in a session of its own, without a terminal, its output appended to the log."""
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.pid_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            with self.log_file.open("ab") as log:
                child = subprocess.Popen(
                    ["/bin/sh", "-c", _WRITE_PID_AND_BECOME, str(self.pid_file), *command],
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    start_new_session=True,
                    pass_fds=(lock,),
                )
        except BlockingIOError:
            raise LocalClusterError(f"{self.name} is already running (process {self.pid()})") from None
        finally:
            os.close(lock)
        _children[child.pid] = child

    def alive(self) -> bool:
        """Whether it runs: whether somebody holds the lock of its pid file."""
        try:
            lock = os.open(self.pid_file, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def pid(self) -> int | None:
        """Return the pid of the running process, None if it doesn't run."""
        pid: list[int] = []

        def known() -> bool:
            if self.alive():
                with contextlib.suppress(FileNotFoundError, ValueError):
                    pid.append(int(self.pid_file.read_text()))
                return bool(pid)
            return True

        wait_until(known, seconds=10)
        return pid[0] if pid else None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; a process that has ended meanwhile is no error."""
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self, *, grace: float) -> None:
        """End it: SIGTERM, after the grace SIGKILL; remove the pid file. Fine if it doesn't run."""
        self.send(signal.SIGTERM)
        self.wait_ended(grace=grace)

    def wait_ended(self, *, grace: float) -> None:
        """Wait for the end of a process after SIGTERM; kill it after the grace period."""
        pid = self.pid()
        if not wait_until(lambda: not self.alive(), seconds=grace):
            self.send(signal.SIGKILL)
            if not wait_until(lambda: not self.alive(), seconds=10):
                raise LocalClusterError(f"{self.name} (process {pid}) did not end, even after SIGKILL")
        child = _children.pop(pid, None) if pid else None
        if child:
            child.wait()
        self.pid_file.unlink(missing_ok=True)

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of its log, for a message that says why it failed."""
        try:
            text = self.log_file.read_text(errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])
