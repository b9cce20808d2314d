"""What is built or fetched once and kept outside the repository.

Used by `programs` and `toolchain`. It must not know what the things are.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def cache_directory() -> Path:
    """Return the folder of everything that is kept for all clones of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lcm-operator"


def made_once(directory: Path, make: Callable[[Path], None], *, waiting: Callable[[], None]) -> Path:
    """Return the directory; if it isn't there, let `make` fill a draft of it and rename that.

    So whatever interrupts `make`, an incomplete directory is never taken for a complete one. If somebody else
    is making the same, `waiting` is called and the other one waited for.
    """
    if directory.exists():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_name(f"{directory.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            draft = directory.with_name(f"{directory.name}.draft")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            make(draft)
            draft.rename(directory)
    return directory
