"""Prometheus and promtool: those on the PATH, else those of Debian's package, unpacked into the cache.

The package is not installed: that needs root, and would start a service.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from devcluster.failure import LocalClusterError
from devcluster.programs.cache import cache_directory, made_once

PACKAGE = "prometheus"


def prometheus(progress: Callable[[str], None]) -> Path | None:
    """Return the folder with `prometheus` and `promtool`; None without them, and without apt-get.

    Raises LocalClusterError if the package can't be downloaded.
    """
    found = [shutil.which(name) for name in ("prometheus", "promtool")]
    if all(found):
        return Path(str(found[0])).parent
    if shutil.which("apt-get") is None:
        return None
    unpacked = made_once(
        cache_directory() / PACKAGE / "debian",
        _unpack,
        waiting=lambda: progress("waiting for another process that downloads Prometheus"),
    )
    return unpacked / "usr" / "bin"


def _unpack(folder: Path) -> None:
    done = _download(folder)
    if done.returncode != 0 and os.geteuid() == 0:  # a fresh machine has no package lists
        _run(["apt-get", "update", "--quiet"], folder)
        done = _download(folder)
    packages = list(folder.glob("*.deb"))
    if not packages:
        raise LocalClusterError(f"apt-get download {PACKAGE} failed:\n{done.stderr}")
    done = _run(["dpkg", "-x", str(packages[0]), str(folder)], folder)
    if done.returncode != 0:
        raise LocalClusterError(f"{packages[0]} can't be unpacked:\n{done.stderr}")
    packages[0].unlink()


def _download(folder: Path) -> subprocess.CompletedProcess[str]:
    return _run(["apt-get", "download", "--quiet", PACKAGE], folder)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
