"""API keys: a file that is reread when it changes.

One key per line, `<scope> <name> <key>`; empty lines and lines that begin with `#` are ignored. The scope is
`read` (GET only) or `operate` (all methods); the name appears in logs. The key is plain, or its hash,
`sha256:<64 hex digits>`. A key alone on its line is `operate default`, which a secret store fills in without
a template. Keys are random and long, so a plain hash is enough. They must not be logged, nor be kept as they
are.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from lcm_operator import logs
from lcm_operator.kube.clock import elapsed

_LOOK_AGAIN_SECONDS = 1.0
_LONGEST_FILE = 1024 * 1024
_LINE = re.compile(
    r"((?P<scope>read|operate)\s+(?P<name>[\w.@-]{1,63})\s+)?"
    r"(sha256:(?P<digest>[0-9a-f]{64})|(?P<key>(?!(?i:(sha|md)[0-9]+:))[!-~]{20,1024}))"
)
_FORM = "[read|operate <name>] <key of 20 to 1024 ASCII characters without blanks, or sha256:<64 hex digits>>"
log = logs.get(__name__)


class KeyScope(Enum):
    """What a key permits."""

    READ = "read"
    OPERATE = "operate"


@dataclass(frozen=True)
class ApiKey:
    """One key; `digest` is its SHA-256."""

    scope: KeyScope
    name: str
    digest: bytes


class BadKeysError(ValueError):
    """A file of keys is malformed; the text names line numbers, never their content."""


class ApiKeys:
    """The keys of one file, at most a second old. If it becomes unreadable, the last keys stay valid."""

    def __init__(self, path: Path, clock: Callable[[], float] = elapsed) -> None:
        """Read the file. Raises OSError, BadKeysError."""
        self._path = path
        self._clock = clock
        self._looked_at = clock()
        self._seen = _mark(path)
        self._keys = parse(_text(path))

    def find(self, presented: str) -> ApiKey | None:
        """Return the presented key if it is known; keys are compared in constant time."""
        self._refresh()
        digest = _digest(presented)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def _refresh(self) -> None:
        if self._clock() - self._looked_at < _LOOK_AGAIN_SECONDS:
            return
        self._looked_at = self._clock()
        mark = _mark(self._path)
        if mark == self._seen:
            return
        self._seen = mark  # an unreadable file is reported once, not every second
        try:
            self._keys = parse(_text(self._path))
        except (OSError, BadKeysError) as error:
            log.error("cannot read API keys; keeping the last ones", error=error)  # noqa: TRY400 - a traceback adds nothing
        else:
            log.info("API keys read", names=tuple(key.name for key in self._keys))


def parse(text: str) -> tuple[ApiKey, ...]:
    """Return the keys of a file. Raises BadKeysError."""
    keys, faults = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            faults.append(number)
            continue
        digest = bytes.fromhex(match["digest"]) if match["digest"] else _digest(match["key"])
        scope, name = match["scope"] or KeyScope.OPERATE, match["name"] or "default"
        keys.append(ApiKey(KeyScope(scope), name, digest))
    if faults:
        raise BadKeysError(f"line {', '.join(map(str, faults))}: expected {_FORM}")
    return tuple(keys)


def line_of(secret: str, scope: KeyScope, name: str) -> str:
    """Return the line of the file for the key `secret`."""
    return f"{scope.value} {name} sha256:{_digest(secret).hex()}"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _text(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(_LONGEST_FILE + 1)
    if len(raw) > _LONGEST_FILE:
        raise BadKeysError("longer than 1 MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadKeysError("not UTF-8") from error


def _mark(path: Path) -> tuple[int, int, int] | None:
    """Return a fingerprint of the file, None if it is missing. A mounted Secret gets a new inode."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
