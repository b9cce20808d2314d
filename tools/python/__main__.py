"""`python -m tools.python`: print the path of the newest Python that we claim, which `make test-newest` uses.

It is the machine's own if there is one, else Debian's. Debian's is not installed: it is unpacked into our
cache with all libraries that it needs, down to libc, and patched to load those. It must not change anything
outside that cache.
"""

import hashlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from devcluster.cluster.layout import REPOSITORY
from devcluster.failure import LocalClusterError
from devcluster.programs.cache import cache_directory, made_once

# The first release of Debian that carries it.
SUITE = "forky"
_CLASSIFIER = "Programming Language :: Python :: 3."
_IMPORTS = "import ctypes, sqlite3, ssl, zlib"


def claimed() -> list[str]:
    """Return the versions of Python that pyproject.toml claims, oldest first, such as 3.11."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    minors = [
        int(each.removeprefix(_CLASSIFIER)) for each in project["classifiers"] if each.startswith(_CLASSIFIER)
    ]
    return [f"3.{minor}" for minor in sorted(minors)]


def find_newest(progress: Callable[[str], None]) -> Path:
    """Return the interpreter. Raises LocalClusterError if there is none and none can be fetched."""
    name = f"python{claimed()[-1]}"
    own = shutil.which(name)
    if own and _runs([own]):
        return Path(own)
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    root = cache_directory() / "python" / f"{name}-{recipe}"
    made_once(
        root,
        lambda draft: _unpack(name, draft, root, progress),
        waiting=lambda: progress(f"waiting for another process that fetches {name}"),
    )
    return root / "usr" / "bin" / name


def _runs(command: list[str]) -> bool:
    return subprocess.run([*command, "-c", _IMPORTS], capture_output=True, check=False).returncode == 0


def _unpack(name: str, draft: Path, root: Path, progress: Callable[[str], None]) -> None:
    """Fill the draft of the folder `root`."""
    if not shutil.which("mmdebstrap"):
        raise LocalClusterError(f"{name} is missing: install it, or mmdebstrap, which fetches Debian's")
    progress(f"fetching {name} from Debian {SUITE}")
    archive = draft / "root.tar"
    # A mirror may lag by more than the week for which the index of a testing suite is valid.
    fetch = ["mmdebstrap", "--quiet", "--variant=extract", f"--include={name},patchelf"]
    _run([*fetch, '--aptopt=Acquire::Check-Valid-Until "false"', SUITE, str(archive)])
    _run(
        [
            "tar",
            "--extract",
            "--no-same-owner",
            "--exclude=./dev",
            f"--file={archive}",
            f"--directory={draft}",
        ]
    )
    archive.unlink()
    (loader,) = draft.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*")
    interpreter = draft / "usr" / "bin" / name
    load = [str(loader), "--library-path", str(loader.parent)]
    patch = [*load, str(draft / "usr" / "bin" / "patchelf")]
    # In this order: in another, or both at once, patchelf 0.18 leaves a program that crashes.
    _run([*patch, "--force-rpath", "--set-rpath", f"$ORIGIN/../lib/{loader.parent.name}", str(interpreter)])
    _run([*patch, "--set-interpreter", str(root / loader.relative_to(draft)), str(interpreter)])
    if not _runs([*load, str(interpreter)]):
        raise LocalClusterError(f"{name} of Debian {SUITE} does not run on this machine")


def _tell(said: str) -> None:
    sys.stderr.write(f"{said}\n")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalClusterError(f"{command[0]} failed:\n{done.stderr.strip()[-2000:]}")


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{find_newest(_tell)}\n")
    except LocalClusterError as error:
        sys.exit(str(error))
