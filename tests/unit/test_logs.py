"""How records are written, by us and by libraries; what no value can do to a line."""

import ast
import io
import json
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lcm_operator import logs
from lcm_operator.engine.redactor import Redactor
from lcm_operator.settings import LogSettings, Reading

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
LEVELS = {"debug", "info", "warning", "error", "exception", "failure"}
SECRETS = {"authorization", "credentials", "key", "password", "secret", "token"}
REPOSITORY = Path(__file__).parents[2]
PACKAGES = (REPOSITORY / "operator" / "lcm_operator", REPOSITORY / "devcluster", REPOSITORY / "dummies")
SOURCES = [source for package in PACKAGES for source in sorted(package.rglob("*.py"))]
log = logs.get("lcm_operator.test")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in logs._QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(capture=False)


def configured(**settings: Any) -> io.StringIO:
    stream = io.StringIO()
    mask = settings.pop("mask", None)
    logs.configure(LogSettings(**settings), stream=stream, mask=mask)
    return stream


def test_a_record_is_one_line_of_text():
    stream = configured()

    log.warning("Lease not renewed", namespace="trials", name="a-1", tries=3, error=OSError("no route"))

    assert re.fullmatch(
        TIME + r' WARNING test Lease not renewed namespace=trials name=a-1 tries=3 error="no route"\n',
        stream.getvalue(),
    )


def test_a_record_is_one_json_object():
    stream = configured(log_format="json")
    start = datetime(2031, 1, 1, 9, tzinfo=UTC)

    log.info("started", trial="a", start_time=start, lag=0.25, names=("x", "y"), pod=None)

    record = json.loads(stream.getvalue())
    assert re.fullmatch(TIME, record.pop("time"))
    assert record == {
        "level": "INFO",
        "logger": "test",
        "message": "started",
        "fields": {
            "trial": "a",
            "start_time": "2031-01-01T09:00:00.000Z",
            "lag": 0.25,
            "names": ["x", "y"],
            "pod": None,
        },
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("survey-1", "survey-1", id="a plain word"),
        pytest.param("", '""', id="nothing"),
        pytest.param("two words", '"two words"', id="a blank"),
        pytest.param('say "no"', r'"say \"no\""', id="quotes"),
        pytest.param("a=b", '"a=b"', id="an equals sign"),
        pytest.param("C:\\new", r'"C:\\new"', id="a backslash"),
        pytest.param("a\nb\r\tc", r'"a\nb\r\tc"', id="line ends"),
        pytest.param("\x1b[2J", r'"\x1b[2J"', id="an escape sequence"),
        pytest.param("\x85\u2028", r'"\x85\u2028"', id="line ends of Unicode"),
        pytest.param("\u202egpj", r'"\u202egpj"', id="a change of direction"),
        pytest.param("\udcff", r'"\udcff"', id="a byte that is no text"),
        pytest.param("Zürich", "Zürich", id="letters beyond ASCII"),
        pytest.param(None, "-", id="None"),
        pytest.param(["a", "b c", "d,e"], 'a,"b c","d,e"', id="a list"),
        pytest.param((), "-", id="an empty list"),
        pytest.param(TimeoutError(), "TimeoutError", id="an error without a text"),
    ],
)
def test_a_value_cannot_end_its_line_or_its_field(value: object, shown: str):
    stream = configured()

    log.info("seen", value=value)

    assert stream.getvalue().endswith(f" seen value={shown}\n")
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("value", ["a\n2026-01-01T00:00:00.000Z INFO test forged", "\u2028\x1b[2J\udcff"])
def test_no_text_of_a_library_ends_its_line(form: str, value: str):
    stream = configured(log_format=form)

    logging.getLogger("aiohttp.access").info("GET %s", value)

    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().rstrip("\n").isprintable()


def fail(text: str) -> None:
    raise ValueError(text)


def test_a_traceback_follows_indented():
    stream = configured()
    forged = "first\n2026-01-01T00:00:00.000Z INFO test forged\x1b[2J"
    try:
        fail(forged)
    except ValueError:
        log.exception("unexpected error while reconciling", trial="a")

    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("ERROR test unexpected error while reconciling trial=a")
    assert rest[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in rest)
    assert "\x1b" not in stream.getvalue()


def test_json_holds_the_traceback_in_the_same_object():
    stream = configured(log_format="json")

    log.failure("a task failed", ValueError("bad"), task="relist")

    record = json.loads(stream.getvalue())
    assert record["fields"] == {"task": "relist"}
    assert record["exception"] == "ValueError: bad"


def test_values_that_json_does_not_know_are_texts():
    stream = configured(log_format="json")

    log.info("seen", path=Path("/tmp"), number=float("nan"), items={"b": 1})  # noqa: S108 - a value

    assert json.loads(stream.getvalue(), parse_constant=pytest.fail)["fields"] == {
        "path": "/tmp",  # noqa: S108 - as above
        "number": "nan",
        "items": "{'b': 1}",
    }


@pytest.mark.parametrize(
    ("level", "written"),
    [("DEBUG", "debug info warning error"), ("WARNING", "warning error"), ("ERROR", "error")],
)
def test_records_below_the_level_are_not_written(level: str, written: str):
    stream = configured(log_level=level)

    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)(name)

    assert re.findall(r"test (\w+)$", stream.getvalue(), re.MULTILINE) == written.split()


def test_nothing_is_formatted_that_is_not_written():
    configured()

    formatted: list[str] = []

    class Noticed:
        def __str__(self) -> str:
            formatted.append("value")
            return "value"

    log.debug("seen", value=Noticed())
    assert formatted == []
    log.warning("seen", value=Noticed())
    assert formatted


def test_libraries_and_warnings_go_the_same_way():
    stream = configured()

    logging.getLogger("kopf.objects").info("Handler succeeded")
    logging.getLogger("kopf.objects").error("Handler failed")
    logging.getLogger("aiohttp.server").error("Unhandled exception")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old\nways", DeprecationWarning, stacklevel=1)

    lines = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines[:2] == ["ERROR kopf.objects Handler failed", "ERROR aiohttp.server Unhandled exception"]
    assert lines[2].startswith("WARNING py.warnings ")
    assert len(lines) == 3


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_masked_wherever_they_are(form: str):
    secret = 'pass\n"word"\\ü'
    stream = configured(log_format=form, mask=Redactor([secret, "message"]).tree)

    logging.getLogger("aiohttp.client").info("with %s", secret)
    log.info("sent", body=f"<{secret}>", parts=[secret])
    log.failure("failed", ValueError(secret))

    text = stream.getvalue()
    assert "word" not in text
    assert text.count("***") == 4
    if form == "json":
        assert [json.loads(line)["message"] for line in text.splitlines()] == ["with ***", "sent", "failed"]


def test_foreign_formatters_see_the_fields(caplog):
    log.warning("Lease not renewed", name="a b")

    assert caplog.messages == ['Lease not renewed name="a b"']
    assert caplog.records[0].filename == "test_logs.py"


def test_a_variable_that_has_no_effect_is_reported(caplog):
    logs.report_unknown(Reading(LogSettings(), (), {"LCM_LOGLEVEL": "LCM_LOG_LEVEL", "LCM_MOON": ""}))

    message = "environment variable is not a setting of this process"
    assert caplog.messages == [
        f"{message} variable=LCM_LOGLEVEL nearest=LCM_LOG_LEVEL",
        f"{message} variable=LCM_MOON",
    ]


def test_a_process_logs_by_its_environment():
    environment = {
        "PYTHONPATH": str(REPOSITORY / "operator"),
        "LCM_LOG_FORMAT": "json",
        "LCM_REGISTRY_ADRESS": "x",
        "LCM_REGISTRY_ADDRESS": "127.0.0.1:0",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "dummies.registry"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            records = [json.loads(process.stdout.readline()) for _ in range(2)]
        finally:
            process.terminate()

    assert [record["message"] for record in records] == [
        "environment variable is not a setting of this process",
        "serving",
    ]
    assert records[0]["fields"]["nearest"] == "LCM_REGISTRY_ADDRESS"


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield each call that writes to a log, with its place."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in {"log", "logger", "_LOG", "logging"}
            ):
                yield f"{source.relative_to(REPOSITORY)}:{node.lineno}", node


def test_messages_are_constants_and_no_field_holds_a_secret():
    found = [call for call in calls() if call[1].func.attr in LEVELS]
    variable = [
        place
        for place, call in found
        if not isinstance(call.args[0], ast.Constant) or len(call.args) != 1 + (call.func.attr == "failure")
    ]
    secrets = [place for place, call in found if {word.arg for word in call.keywords} & SECRETS]

    assert len(found) > 30
    assert (variable, secrets) == ([], [])


def test_every_module_logs_by_the_one_convention():
    by_hand = [
        source.relative_to(REPOSITORY).as_posix()
        for source in SOURCES
        if re.search(
            r"logging\.getLogger|^_LOG\b|^logger\b", source.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]

    assert by_hand == ["operator/lcm_operator/logs.py"]
