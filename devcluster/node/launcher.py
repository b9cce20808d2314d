"""The parent of the containers' processes: a program of its own, because they must outlive the node.

The node starts it as `python -I -S launcher.py` and writes one request per line; for each the launcher forks
a **supervisor**, which starts the container's process in a session of its own, waits for it and records how
it ended. Only the supervisor can know that, so it stays when the node is killed; the launcher dies with it.

    node --requests--> launcher --fork--> supervisor (claim, locked) --exec--> container's process
         <-replies-------------------------'                '--exit record

- A container is begun once: its supervisor makes the claim, a file that is linked into place together with
  its lock; who finds one there does nothing. The lock is held as long as the supervisor lives.
- SIGTERM to the supervisor is passed on to the container's process group; on SIGUSR1 the group is killed.
- When the container's first process has ended, everything that it left behind is killed, as in a pod;
  processes in sessions of their own too, since the supervisor is their subreaper. If the supervisor is
  killed, so is the container.

Why not a shell as supervisor: `sh` can't distinguish "killed by SIGTERM" from "exit 143", can't be a
subreaper, and needs `mv` for each record. Why fork: measured with 100 at once on two busy cores, a
container is started in 6 ms with 1.8 MB of memory for its supervisor; an interpreter of its own for each
would take 38 ms and 5 MB. It must import the standard library only, and little of it.
"""

import ctypes
import fcntl
import gc
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def main() -> None:
    """Fork a supervisor for each request, until the node is gone."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the supervisors
    gc.freeze()  # keeps the memory shared with them
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if os.fork() == 0:
            try:
                _supervise(request)
            finally:
                traceback.print_exc()
                _reply(request, "failed")
                os._exit(1)


class _Container:
    """The container's process, as its supervisor signals it: possibly before it exists."""

    def __init__(self) -> None:
        self._pid = 0
        self._wanted: list[signal.Signals] = []
        signal.signal(signal.SIGTERM, lambda *_: self.send(signal.SIGTERM))
        signal.signal(signal.SIGUSR1, lambda *_: self.send(signal.SIGKILL))

    def began(self, pid: int) -> None:
        self._pid = pid
        for wanted in self._wanted:
            self.send(wanted)

    def send(self, number: signal.Signals) -> None:
        if not self._pid:
            self._wanted.append(number)
            return
        try:
            os.killpg(self._pid, number)
        except (ProcessLookupError, PermissionError):
            return  # empty, or it is about to become the program

    def wait(self) -> int:
        """Return the wait status of the first process, after whatever it left behind is gone as well."""
        os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        pid, self._pid = self._pid, 0  # once it is reaped, the number may come to mean another
        _, status = os.waitpid(pid, 0)
        _kill_children()
        return status


def _supervise(request: dict[str, Any]) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    container = _Container()
    directory = Path(request["directory"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    claim = _claim(directory, log)
    if claim is None:
        _reply(request, "taken")
        os._exit(0)
    try:
        process = subprocess.Popen(
            request["command"],
            env=request["environment"],
            cwd=request["workingDirectory"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o022,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - there are no threads here
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _record(directory, {"startError": str(error), "finishedAt": time.time()})
        _reply(request, "refused")
        os._exit(0)
    container.began(process.pid)
    os.write(claim, json.dumps({"pid": process.pid}).encode() + b"\n")
    os.close(log)
    _reply(request, "started")
    status = container.wait()
    _record(directory, {"waitStatus": status, "finishedAt": time.time()})
    os._exit(0)


def _claim(directory: Path, log: int) -> int | None:
    """Claim the container for this supervisor; None if it was begun before or its pod is gone."""
    draft = directory / f"claim.{os.getpid()}"
    try:
        claim = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    fcntl.flock(claim, fcntl.LOCK_EX)
    facts = {"supervisor": os.getpid(), "startedAt": time.time(), "logOffset": os.fstat(log).st_size}
    os.write(claim, json.dumps(facts).encode() + b"\n")
    try:
        os.link(draft, directory / "claim")
    except (FileExistsError, FileNotFoundError):
        return None
    finally:
        draft.unlink(missing_ok=True)
    return claim


def _record(directory: Path, facts: dict[str, Any]) -> None:
    """Record the end of the container; not needed if its directory no longer exists."""
    draft = directory / "exit.new"
    try:
        draft.write_text(json.dumps(facts))
        draft.replace(directory / "exit")
    except FileNotFoundError:
        return


def _reply(request: dict[str, Any], outcome: str) -> None:
    """Notify the node, if there is one, and release the pipe: its end shows that the launcher died."""
    try:
        os.write(1, json.dumps({"id": request["id"], "outcome": outcome}).encode() + b"\n")
    except BrokenPipeError:
        return
    finally:
        os.close(1)


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill_children() -> None:
    """Kill the rest of the container; its children become ours as it dies, until there are none."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            continue
        for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)  # a child of ours keeps its number until we reap it
        os.waitpid(-1, 0)


if __name__ == "__main__":
    main()
