"""The standard output and the standard error of a program."""

import asyncio
import os
from types import TracebackType
from typing import Any, BinaryIO, Self

from lcm_operator.api.printable import printable
from lcm_operator.engine.outcome import excerpt
from lcm_operator.engine.redactor import Redactor
from lcm_operator.plan.values import Undefined, json_or_undefined

LARGEST_OUTPUT = 1024 * 1024
_TAIL = 1024
_LONGEST_LINE = 8 * 1024
_CHUNK = 64 * 1024
_LAST_CHUNKS = 16  # more than a pipe holds


class OutputPipe:
    """A pipe for the program's output, which is masked and copied to the pod's log; its tail is kept.

    Processes that the program has started may hold it open: nobody waits for its end.
    """

    def __init__(self, sink: BinaryIO, redactor: Redactor) -> None:
        self._read_end, self.write_end = os.pipe()
        self._sink = sink
        self._redactor = redactor
        self._held = b""
        self._masked_end = bytearray()
        self._begin = bytearray()
        self._end = bytearray()
        self._length = 0

    def __enter__(self) -> Self:
        os.set_blocking(self._read_end, False)
        asyncio.get_running_loop().add_reader(self._read_end, self._copy)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self.write_end)
        for _ in range(_LAST_CHUNKS):
            if not self._copy():
                break
        self._pass_on(self._masked(self._held))
        asyncio.get_running_loop().remove_reader(self._read_end)
        os.close(self._read_end)

    @property
    def line(self) -> str:
        """Its last 1024 bytes, masked, as one line."""
        return excerpt(self._masked_end.decode(errors="replace"), _TAIL)

    @property
    def tail(self) -> str:
        """Its last 1024 bytes, masked."""
        return printable(self._masked_end.decode(errors="replace"))

    def variables(self, name: str) -> dict[str, Any]:
        """Return the variable `name` of expressions, unmasked; missing members are undefined."""
        content, large = bytes(self._begin), Undefined(f"{name} is over {LARGEST_OUTPUT} bytes")
        lines = self._end.decode(errors="replace").rstrip().splitlines()
        last: Any = lines[-1] if lines else ""
        if len(lines) == 1 and self._length > _LONGEST_LINE:
            last = Undefined(f"the last line of {name} is over {_LONGEST_LINE} bytes")
        if self._length > LARGEST_OUTPUT:
            return {"text": large, "json": large, "lastLine": last}
        json = json_or_undefined(content, f"{name} as a whole")
        return {"text": content.decode(errors="replace"), "json": json, "lastLine": last}

    def _copy(self) -> bool:
        """Copy what can be read now; return whether there was anything."""
        try:
            chunk = os.read(self._read_end, _CHUNK)
        except BlockingIOError:
            return False
        self._length += len(chunk)
        self._begin += chunk[: max(0, LARGEST_OUTPUT - len(self._begin))]
        self._end += chunk
        del self._end[:-_LONGEST_LINE]
        # A chunk may end within a secret, so the last line is held back, or of an endless line as much as
        # the longest secret.
        self._held += chunk
        longest = 4 * self._redactor.longest
        if not longest:
            ready, self._held = self._held, b""
        elif len(self._held) > _CHUNK + longest:
            masked = self._masked(self._held)
            ready, self._held = masked[:-longest], masked[-longest:]
        else:
            end = self._held.rfind(b"\n") + 1
            ready, self._held = self._masked(self._held[:end]), self._held[end:]
        self._pass_on(ready)
        return bool(chunk)

    def _masked(self, content: bytes) -> bytes:
        text = content.decode(errors="surrogateescape")
        return self._redactor.text(text).encode(errors="surrogateescape")

    def _pass_on(self, content: bytes) -> None:
        self._sink.write(content)
        self._sink.flush()
        self._masked_end += content
        del self._masked_end[:-_TAIL]
