"""The logs of all processes: a constant message, and key=value fields.

    log = logs.get(__name__)
    log.warning("Lease not renewed", namespace="trials", name="survey-1")

Text, the default, is one line a record; `LCM_LOG_FORMAT=json` writes one JSON object a line:

    2026-11-27T11:00:00.123Z WARNING controllers.leader Lease not renewed namespace=trials name=survey-1

Line breaks and control characters in values are escaped, so that no value can forge a line. A field must not
contain a secret. Engines load this module, so its imports must be light.
"""

import json
import logging
import math
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from lcm_operator.settings import LogSettings, Reading

_PACKAGE = "lcm_operator."
_QUOTED = frozenset(' "=\\,')
_QUIET = ("kopf", "urllib3", "asyncio")
"""Libraries whose records below WARNING do not help our users."""


class Message:
    """A message with its fields, which any formatter of `logging` can show."""

    __slots__ = ("fields", "text")

    def __init__(self, text: str, fields: Mapping[str, object]) -> None:
        self.text = text
        self.fields = fields

    def __str__(self) -> str:
        return _line(self.text, self.fields, _unmasked)


class Logger:
    """The logger of one module. Messages must be constants; variable parts are fields."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, message: str, /, **fields: object) -> None:
        """Log a detail for debugging."""
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        """Log normal operation."""
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        """Log a problem that is handled."""
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        """Log a problem that needs attention."""
        self._write(logging.ERROR, message, fields)

    def exception(self, message: str, /, **fields: object) -> None:
        """Log an error with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, message, fields, sys.exc_info())

    def failure(self, message: str, error: BaseException, /, **fields: object) -> None:
        """Log an error with the traceback of `error`, which was raised elsewhere."""
        self._write(logging.ERROR, message, fields, (type(error), error, error.__traceback__))

    def _write(self, level: int, message: str, fields: Mapping[str, object], exc_info: Any = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, Message(message, fields), exc_info=exc_info, stacklevel=3)


def get(name: str) -> Logger:
    """Return the logger of a module, given its `__name__`."""
    return Logger(logging.getLogger(name))


def configure(
    settings: LogSettings, *, stream: TextIO | None = None, mask: Callable[[Any], Any] | None = None
) -> None:
    """Write the records of all loggers to `stream`, by default standard error.

    `mask` replaces secrets in a text, or in the texts of a list.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter((JsonFormatter if settings.log_format == "json" else TextFormatter)(mask))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(capture=True)


def report_unknown(reading: Reading[Any]) -> None:
    """Warn of variables that look like ours and have no effect on this process."""
    log = get(__name__)
    for name, nearest in reading.unknown.items():
        hint = {"nearest": nearest} if nearest else {}
        log.warning("environment variable is not a setting of this process", variable=name, **hint)


class TextFormatter(logging.Formatter):
    """One line per record, followed by the indented lines of a traceback."""

    def __init__(self, mask: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self._mask = mask or _unmasked

    def format(self, record: logging.LogRecord) -> str:
        """Return the line or lines of a record."""
        text, fields = _parts(record)
        line = f"{_time(record)} {record.levelname} {_name(record)} {_line(text, fields, self._mask)}"
        if exception := _exception(self, record):
            line += "".join(f"\n  {_escaped(part)}" for part in self._mask(exception).split("\n"))
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object per record."""

    def __init__(self, mask: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self._mask = mask or _unmasked

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        text, fields = _parts(record)
        content: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": _name(record),
            "message": self._mask(text),
        }
        if fields:
            content["fields"] = {name: self._mask(_plain(value)) for name, value in fields.items()}
        if exception := _exception(self, record):
            content["exception"] = self._mask(exception)
        return json.dumps(content)


def _parts(record: logging.LogRecord) -> tuple[str, Mapping[str, object]]:
    if isinstance(record.msg, Message):
        return record.msg.text, record.msg.fields
    return record.getMessage(), {}


def _name(record: logging.LogRecord) -> str:
    return record.name.removeprefix(_PACKAGE)


def _time(record: logging.LogRecord) -> str:
    return _rfc3339(datetime.fromtimestamp(record.created, UTC))


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""


def _line(text: str, fields: Mapping[str, object], mask: Callable[[Any], Any]) -> str:
    shown = (f" {name}={_value(mask(_plain(value)))}" for name, value in fields.items())
    return _escaped(mask(text)) + "".join(shown)


def _plain(value: object) -> Any:
    """Return a value that JSON can represent."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, datetime):
        return _rfc3339(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value) or (type(value).__name__ if isinstance(value, BaseException) else "")


def _value(plain: Any) -> str:
    if isinstance(plain, list):
        return ",".join(map(_value, plain)) or "-"
    text = "-" if plain is None else str(plain)
    if text and text.isprintable() and not _QUOTED.intersection(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_escaped(escaped)}"'


def _escaped(text: str) -> str:
    """Return a text with line breaks and control characters escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def _unmasked(value: Any) -> Any:
    return value
