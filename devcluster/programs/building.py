"""Programs that are built once, for all clones of a user, from a Go module under tools/.

The cache's key is the module's go.mod, go.sum and own sources, the platform and the way of building. Called
by `programs`, and by the checks that need a program of their own. It must not know what the programs are for.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.failure import LocalClusterError
from devcluster.programs.cache import cache_directory, made_once
from devcluster.programs.toolchain import find_go

SIGN_OF_LIFE_SECONDS = 30
# The compilers collect garbage less often: a build takes less time, for up to twice the memory.
PREFERRED = {"GOGC": "400"}
REQUIRED = {"CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"}
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Module:
    """A Go module: its title, and the package of each of its programs, its own as `./NAME`."""

    directory: Path
    title: str
    packages: Mapping[str, str]
    linked: str = ""

    @property
    def flags(self) -> list[str]:
        """How its programs are built."""
        return ["-mod=readonly", "-buildvcs=false", "-trimpath", f"-ldflags=-s -w {self.linked}".rstrip()]


@dataclass(frozen=True)
class Files:
    """Files of a Go module: the folder that pins it, its title, its path, and the folder in it."""

    directory: Path
    title: str
    path: str
    folder: str


def downloaded(files: Files, progress: Progress) -> Path:
    """Return a folder with the files."""
    digest = hashlib.sha256((files.directory / "go.sum").read_bytes() + files.folder.encode()).hexdigest()
    return made_once(
        cache_directory() / files.directory.name / digest[:16],
        lambda draft: _download(files, draft, progress),
        waiting=lambda: progress(f"waiting for another process that downloads {files.title}"),
    )


def _download(files: Files, draft: Path, progress: Progress) -> None:
    go = str(find_go(files.directory, progress))
    _go([go, "mod", "download", files.path], files.directory, f"downloading {files.title}", progress)
    found = subprocess.run(
        [go, "list", "-m", "-f", "{{.Dir}}", files.path],
        cwd=files.directory,
        env=os.environ | REQUIRED,
        capture_output=True,
        text=True,
        check=True,
    )
    shutil.copytree(Path(found.stdout.strip()) / files.folder, draft, dirs_exist_ok=True)


def built(module: Module, progress: Progress) -> Path:
    """Return the folder that holds all programs; it may take minutes the first time."""
    return made_once(
        cache_directory() / module.directory.name / _key(module),
        lambda draft: _build(module, draft, progress),
        waiting=lambda: progress(f"waiting for another process that builds {module.title}"),
    )


def _key(module: Module) -> str:
    digest = hashlib.sha256()
    own = [file for package in module.packages.values() for file in module.directory.glob(f"{package}/*.go")]
    for file in (module.directory / "go.mod", module.directory / "go.sum", *sorted(own)):
        digest.update(file.read_bytes())
    digest.update(
        "\n".join([platform.system(), platform.machine(), *module.flags, *module.packages]).encode()
    )
    return digest.hexdigest()[:16]


def _build(module: Module, draft: Path, progress: Progress) -> None:
    go = str(find_go(module.directory, progress))
    progress(f"building {module.title} with {go}; done once, takes some minutes")
    _go([go, "mod", "download"], module.directory, f"downloading the sources of {module.title}", progress)
    for number, (name, package) in enumerate(module.packages.items(), start=1):
        build = [go, "build", *module.flags, "-o", str(draft / name), package]
        _go(build, module.directory, f"building {name} ({number} of {len(module.packages)})", progress)


def _go(command: Sequence[str], directory: Path, purpose: str, progress: Progress) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in {"GOOS", "GOARCH"}}
    progress(purpose)
    with subprocess.Popen(
        command,
        cwd=directory,
        env=PREFERRED | inherited | REQUIRED,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = None
        while said is None:
            try:
                said = process.communicate(timeout=SIGN_OF_LIFE_SECONDS)[1]
            except subprocess.TimeoutExpired:
                progress(f"still {purpose}")
    if process.returncode != 0:
        last = "\n".join(said.splitlines()[-20:])
        raise LocalClusterError(f"{purpose} failed:\n{last}")
