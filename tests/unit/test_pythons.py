"""The Pythons that we claim: named alike everywhere, and how the newest one is found for the tests."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from tools.python import __main__ as newest

from devcluster.failure import LocalClusterError

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
CLAIMED = newest.claimed()
OLDEST, NEWEST = CLAIMED[0], CLAIMED[-1]
DOTLESS = OLDEST.replace(".", "")


def found(file: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (REPOSITORY / file).read_text(encoding="utf-8")))


def test_every_version_from_the_oldest_to_the_newest_is_claimed():
    first, last = (int(version.removeprefix("3.")) for version in (OLDEST, NEWEST))

    assert [f"3.{minor}" for minor in range(first, last + 1)] == CLAIMED
    assert PROJECT["project"]["requires-python"] == f">={OLDEST}"


@pytest.mark.parametrize("file", ["Dockerfile", "docs/install.md"])
def test_the_newest_python_is_the_one_of_the_image(file):
    assert found(file, r"python:([\d.]+)-slim") == {NEWEST}


@pytest.mark.parametrize(
    "file",
    ["README.md", "CONTRIBUTING.md", "Makefile", "Dockerfile", "docs/install.md", "docs/local-cluster.md"],
)
def test_a_person_is_told_the_oldest_python(file):
    assert found(file, r"Python ([\d.]+\d) or newer") == {OLDEST}


def test_checks_and_lock_are_for_the_oldest_python():
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{DOTLESS}"
    assert found("Makefile", r"--python-version ([\d.]+)") == {OLDEST}
    assert found("Makefile", r"sys.version_info < \(3, (\d+)\)") == {OLDEST.removeprefix("3.")}


def test_ci_tests_the_oldest_and_the_newest_python():
    ci = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")

    assert set(re.findall(r"python(3\.\d+)", ci)) == {OLDEST}
    assert "make test\n" in ci
    assert "make test-newest" in ci


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the only programs, with an empty cache."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_the_newest_python_of_the_machine_is_used(machine):
    own = machine / f"python{NEWEST}"
    own.symlink_to(sys.executable)

    assert newest.find_newest(print) == own


def test_a_python_that_does_not_run_is_not_used(machine):
    broken = machine / f"python{NEWEST}"
    broken.write_text("#!/bin/false\n")
    broken.chmod(0o755)

    with pytest.raises(LocalClusterError, match="mmdebstrap"):
        newest.find_newest(print)


@pytest.mark.usefixtures("machine")
def test_without_the_newest_python_the_next_step_is_named():
    with pytest.raises(LocalClusterError, match=f"python{NEWEST} is missing: install it, or mmdebstrap"):
        newest.find_newest(print)
