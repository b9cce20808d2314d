"""Building the programs once, with a `go` made up of a shell script."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from devcluster.failure import LocalClusterError
from devcluster.programs.kubernetes import MODULE, PACKAGES, find_programs
from devcluster.waiting import wait_until

GO = """#!/bin/sh
case "$1 $2" in
  "env GOVERSION") echo go1.26.9 ;;
  "mod download") ;;
  build*)
    while [ $# -gt 2 ]; do [ "$1" = -o ] && output=$2; shift; done
    echo "$2" >>"$LOG"
    BEFORE
    echo program >"$output" ;;
esac
"""


class Workshop:
    """A module, a cache and a fake go of its own."""

    def __init__(self, directory: Path) -> None:
        self.module = directory / "module"
        self.module.mkdir()
        for name in ("go.mod", "go.sum"):
            (self.module / name).write_bytes((MODULE / name).read_bytes())
        self.log = directory / "builds"
        self.cache = directory / "cache"
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.go("")

    def go(self, before_each_build: str) -> None:
        go = self.bin / "go"
        go.write_text(GO.replace("BEFORE", before_each_build))
        go.chmod(go.stat().st_mode | stat.S_IXUSR)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(self.cache),
            "LOG": str(self.log),
        }

    def builder(self) -> subprocess.Popen[str]:
        """Start another process that wants the programs."""
        code = (
            "import sys, pathlib; from devcluster.programs.kubernetes import find_programs; "
            "print(find_programs(lambda m: print(m, flush=True), pathlib.Path(sys.argv[1])))"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, str(self.module)],
            env=self.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )

    def builds(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    workshop = Workshop(tmp_path)
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    for name, value in workshop.environment().items():
        monkeypatch.setenv(name, value)
    return workshop


def test_each_program_is_built_once_and_found_again(workshop: Workshop) -> None:
    first = find_programs(print, workshop.module)
    second = find_programs(print, workshop.module)

    assert first == second
    assert {file.name for file in first.iterdir()} == set(PACKAGES)
    assert sorted(workshop.builds()) == sorted(PACKAGES.values())


def test_the_cache_lies_outside_the_repository(workshop: Workshop) -> None:
    assert find_programs(print, workshop.module).is_relative_to(workshop.cache / "lcm-operator")


@pytest.mark.parametrize("file", ["go.mod", "go.sum"])
def test_other_sources_are_built_anew(workshop: Workshop, file: str) -> None:
    before = find_programs(print, workshop.module)
    with (workshop.module / file).open("a") as changed:
        changed.write("// another\n")

    assert find_programs(print, workshop.module) != before


def test_two_builds_at_once_do_the_work_once(workshop: Workshop, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    workshop.go(f'while [ ! -e "{go_on}" ]; do sleep 0.05; done')
    with workshop.builder() as one:
        assert wait_until(lambda: len(workshop.builds()) == 1, seconds=20)
        with workshop.builder() as other:
            assert other.stdout
            assert other.stdout.readline() == "waiting for another process that builds the control plane\n"
            go_on.touch()
            paths = {one.communicate()[0].splitlines()[-1], other.communicate()[0].splitlines()[-1]}

    assert len(paths) == 1
    assert sorted(workshop.builds()) == sorted(PACKAGES.values())


def test_a_killed_build_leaves_no_cache_that_looks_whole(workshop: Workshop) -> None:
    workshop.go('[ "$(wc -l <"$LOG")" -lt 3 ] || kill -9 "$PPID"')
    with workshop.builder() as killed:
        assert killed.wait(timeout=30) == -9
    workshop.go("")

    whole = find_programs(print, workshop.module)

    assert {file.name for file in whole.iterdir()} == set(PACKAGES)
    assert [file.name for file in whole.parent.iterdir() if file.is_dir()] == [whole.name]


def test_a_failed_build_says_what_go_said(workshop: Workshop) -> None:
    workshop.go("echo 'no space left on device' >&2; exit 1")

    with pytest.raises(LocalClusterError, match=r"building etcd \(1 of 4\) failed:\nno space left on device"):
        find_programs(print, workshop.module)


class TestAssetsOfTheUser:
    def test_are_used_when_they_are_complete(
        self, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in PACKAGES:
            (tmp_path / name).touch(mode=0o755)
        monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))

        assert find_programs(print, workshop.module) == tmp_path
        assert workshop.builds() == []

    def test_are_passed_over_with_a_word_when_one_is_missing(
        self, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("etcd", "kube-apiserver", "kubectl"):
            (tmp_path / name).touch(mode=0o755)
        monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
        said: list[str] = []

        find_programs(said.append, workshop.module)

        assert "KUBEBUILDER_ASSETS lacks kube-controller-manager" in said[0]
        assert len(workshop.builds()) == len(PACKAGES)
