"""Checks a text as `lcm plan check` checks a file."""

import pytest

from lcm_operator.cli import plan_check


@pytest.fixture
def check(tmp_path, capsys):
    """Check a text; return the exit code and the lines, without the file's name."""

    def run(text: str, **options):
        file = tmp_path / "plan.yaml"
        file.write_text(text)
        code = plan_check.run(str(file), **options)
        said = capsys.readouterr()
        lines = [line for line in (said.out + said.err).splitlines() if not line.startswith("OK: ")]
        assert (code == 0) == said.out.startswith("OK: ")
        assert all(line.startswith(f"{file}:") for line in lines)
        return code, [line.removeprefix(f"{file}:") for line in lines]

    return run
