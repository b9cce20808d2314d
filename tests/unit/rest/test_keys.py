"""API keys: what a file of them looks like, and when it is read again."""

import hashlib
import logging
import os
from pathlib import Path

import pytest
import yaml

from lcm_operator.api import names
from lcm_operator.rest.auth.keys import ApiKey, ApiKeys, BadKeysError, KeyScope, line_of

EXAMPLE = Path(__file__).parents[3] / "examples" / "external-secrets.yaml"
PLAIN = "5mUgZqK0y-3nJw_V2rXcTb8pLh6s"


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys"


def held(file, clock, *secrets):
    file.write_text("".join(line_of(secret, KeyScope.OPERATE, f"of-{secret}") + "\n" for secret in secrets))
    return ApiKeys(file, clock)


def test_a_line_holds_scope_name_and_hash_but_not_the_key():
    assert line_of("secret", KeyScope.READ, "grafana") == (
        f"read grafana sha256:{hashlib.sha256(b'secret').hexdigest()}"
    )


def test_each_of_several_keys_is_found_and_nothing_else(file, clock):
    keys = held(file, clock, "one", "two")

    assert [keys.find(secret) and keys.find(secret).name for secret in ("one", "two", "three", "")] == [
        "of-one",
        "of-two",
        None,
        None,
    ]


def test_comments_and_empty_lines_do_not_count(file, clock):
    file.write_text(f"# keys of the lab\n\n  {line_of('one', KeyScope.READ, 'lab')}  \n")

    assert ApiKeys(file, clock).find("one").scope is KeyScope.READ


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("secret", id="a bare key"),
        pytest.param(f"admin lab sha256:{'0' * 64}", id="an unknown scope"),
        pytest.param(f"read sha256:{'0' * 64}", id="no name"),
        pytest.param(f"read lab sha256:{'0' * 63}", id="a hash that is too short"),
        pytest.param(f"read lab md5:{'0' * 64}", id="another hash"),
        pytest.param(f"read lab SHA256:{'A' * 64}", id="a hash in capitals"),
        pytest.param("operate lab nineteen-characters", id="a plain key that is too short"),
        pytest.param("{{ .scripts }}", id="a template that nobody has filled in"),
        pytest.param(f"read lab sha256:{'0' * 64} more", id="something behind it"),
    ],
)
def test_key_file_with_other_content_is_rejected_by_line_without_showing_it(file, clock, line):
    file.write_text(f"# first\n{line}\n")

    with pytest.raises(BadKeysError) as raised:
        ApiKeys(file, clock)
    assert "line 2" in str(raised.value)
    assert line not in str(raised.value)


@pytest.mark.parametrize(
    ("line", "scope", "name"),
    [
        (f"operate scripts {PLAIN}", KeyScope.OPERATE, "scripts"),
        (f"read grafana {PLAIN}", KeyScope.READ, "grafana"),
        (f"{PLAIN}\r", KeyScope.OPERATE, "default"),
        (f"\ufeff{PLAIN}", KeyScope.OPERATE, "default"),
        (f"sha256:{hashlib.sha256(PLAIN.encode()).hexdigest()}", KeyScope.OPERATE, "default"),
    ],
)
def test_a_secret_store_may_fill_in_the_key_itself(file, clock, line, scope, name):
    file.write_text(f"{line}\n")
    found = ApiKeys(file, clock).find(PLAIN)

    assert found == ApiKey(scope, name, hashlib.sha256(PLAIN.encode()).digest())
    assert PLAIN not in repr(found)


def test_the_example_for_external_secrets_fills_the_key_file(file, clock):
    first, registry = yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8"))
    template = first["spec"]["target"]["template"]["data"]["keys"]
    file.write_text(template.replace("{{ .scripts }}", PLAIN).replace("{{ .grafana }}", PLAIN[::-1]))

    assert ApiKeys(file, clock).find(PLAIN[::-1]).scope is KeyScope.READ
    annotations = registry["spec"]["target"]["template"]["metadata"]["annotations"]
    assert set(annotations) == {names.ANNOTATION_ORIGIN}


def test_a_file_that_is_missing_at_the_start_is_refused(file, clock):
    with pytest.raises(FileNotFoundError):
        ApiKeys(file, clock)


def test_a_file_that_has_changed_is_read_again_after_a_second(file, clock):
    keys = held(file, clock, "old")
    file.write_text(line_of("new", KeyScope.OPERATE, "other"))

    assert keys.find("new") is None
    clock.now += 1
    assert keys.find("new").name == "other"
    assert keys.find("old") is None


def test_replaced_key_file_is_read_again_even_at_the_same_length_and_time(file, clock, tmp_path):
    keys = held(file, clock, "old")
    times = file.stat()
    replacement = tmp_path / "replacement"
    held(replacement, clock, "new")
    os.utime(replacement, ns=(times.st_atime_ns, times.st_mtime_ns))
    replacement.replace(file)
    clock.now += 1

    assert keys.find("new")


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda file: file.write_text("nonsense\n"), id="it becomes nonsense"),
        pytest.param(lambda file: file.write_bytes(b"\xff\xfe"), id="it is not UTF-8"),
        pytest.param(lambda file: file.write_text("#" * 2_000_000), id="it is larger than keys are"),
        pytest.param(lambda file: file.unlink(), id="it is gone"),
    ],
)
def test_a_broken_file_keeps_the_last_good_keys_and_is_reported_once(file, clock, harm, caplog):
    keys = held(file, clock, "good")
    harm(file)
    for _ in range(3):
        clock.now += 1
        assert keys.find("good")

    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_file_that_is_whole_again_is_read(file, clock):
    keys = held(file, clock, "good")
    file.unlink()
    clock.now += 1
    assert keys.find("better") is None
    file.write_text(line_of("better", KeyScope.OPERATE, "lab"))
    clock.now += 1

    assert keys.find("better")
    assert keys.find("good") is None


def test_a_key_is_never_logged(file, clock, caplog):
    caplog.set_level(logging.DEBUG)
    keys = held(file, clock, "good")
    file.write_text("hunter2\n")
    clock.now += 1
    keys.find("hunter2")
    file.write_text(line_of("good", KeyScope.READ, "lab"))
    clock.now += 1
    keys.find("good")

    assert "lab" in caplog.text
    assert "hunter2" not in caplog.text
    assert hashlib.sha256(b"good").hexdigest() not in caplog.text
