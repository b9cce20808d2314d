"""The arguments of `lcm import`: what cannot be meant is refused before anything is asked."""

import pytest

from lcm_operator.cli import __main__ as entry


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--from"),
        (["--from", "lcm:5000"], "--from: must be an address such as http://lcm:5000"),
        (["--from", "ftp://lcm"], "--from: must be an address"),
        (["--from", "http://user:word@lcm:5000"], "without a login"),
        (["--from", "http://lcm", "--margin", "soon"], "must be a number of seconds from 0 to 31536000"),
        (["--from", "http://lcm", "--margin", "nan"], "must be a number of seconds"),
        (["--from", "http://lcm", "--timezone", "Klingon"], "--timezone: no time zone 'Klingon'"),
        (["--from", "http://lcm", "--timezone", "../etc"], "--timezone: no time zone '../etc'"),
        (["--from", "http://lcm", "--key-file", "/dev/null"], "--key-file: the key must be one line"),
        (["--from", "http://lcm", "--key-file", "/missing"], "No such file"),
        (["--from", "http://lcm", "--take-over", "--resume"], "not allowed with"),
        (["--from", "http://lcm", "--stopped"], "--stopped goes with --resume"),
        (["--from", "http://lcm", "--kubeconfig", "/missing"], "/missing"),
    ],
)
def test_wrong_arguments_do_nothing(monkeypatch, tmp_path, capsys, arguments: list[str], said: str):
    config = tmp_path / "config"
    config.write_text(
        "{clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], users: [], current-context: c,"
        " contexts: [{name: c, context: {cluster: c}}]}"
    )
    monkeypatch.setenv("KUBECONFIG", str(config))
    monkeypatch.setattr("sys.argv", ["lcm", "import", *arguments])

    try:
        code = entry.main()
    except SystemExit as error:  # argparse
        code = error.code

    assert code == 2
    assert said in capsys.readouterr().err
