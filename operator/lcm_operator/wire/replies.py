"""Replies, parsed as their bytes arrive. Pure.

llhttp parses strictly. Handled here: a reply to HEAD, or to CONNECT with success, has no body, one without a
length ends with the connection, interim replies (1xx) are skipped, and the size of everything but the body is
limited.
"""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lcm_operator.wire.errors import WireError

# For head, interim replies and trailers between two parts of the body.
LARGEST_OVERHEAD = 64 * 1024
_FIRST_FINAL_STATUS = 200
FIRST_REDIRECT = 300


class Headers(dict[str, str]):
    """Headers by case-insensitive names; values of a repeated one are joined by commas."""

    def add(self, name: str, value: str) -> None:
        """Add one header line."""
        key = name.lower()
        super().__setitem__(key, f"{self[key]}, {value}" if key in self else value)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Return the value of a header."""
        return super().get(name.lower(), default)


class Reply:
    """The reply to one request. `status` is 0 until the head is complete."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.status = 0
        self.headers = Headers()
        self.complete = False
        self.keeps_alive = False
        self._bodiless = method == "HEAD"
        self._body = bytearray()
        self._parser = HttpResponseParser(self)
        self._overhead = 0

    @property
    def buffered(self) -> int:
        """The number of bytes of the body that were not taken yet."""
        return len(self._body)

    def take(self) -> bytes:
        """Return the part of the body that arrived since the last call."""
        taken = bytes(self._body)
        self._body.clear()
        return taken

    def feed(self, data: bytes) -> None:
        """Parse data. Raises WireError if it is malformed or exceeds the limit."""
        if self.complete:
            raise WireError("the server sent more than one reply")
        before = len(self._body)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as error:
            raise WireError("the reply switches to another protocol") from error
        except HttpParserError as error:
            cause = error.__context__
            raise (
                cause if isinstance(cause, WireError) else WireError(f"the reply is not valid HTTP: {error}")
            ) from error
        self._overhead = 0 if len(self._body) > before else self._overhead + len(data)
        if self._overhead > LARGEST_OVERHEAD:
            raise WireError(f"the headers are larger than {LARGEST_OVERHEAD} bytes")

    def end(self) -> None:
        """Note the end of the connection. Raises WireError if the reply is incomplete."""
        if self.complete:
            return
        if not self.status:
            raise WireError("the connection was closed before a reply arrived")
        if self._has_length:
            raise WireError("the connection was closed within the reply")
        self.complete = True

    @property
    def _has_length(self) -> bool:
        coding = self.headers.get("transfer-encoding") or ""
        return coding.lower().endswith("chunked") or "content-length" in self.headers

    # Called by llhttp.

    def on_message_begin(self) -> None:
        """Reject a second reply."""
        if self.complete:
            raise WireError("the server sent more than one reply")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; trailers are ignored."""
        if not self.status:
            self.headers.add(name.decode("ascii"), value.strip(b" \t").decode(errors="replace"))

    def on_headers_complete(self) -> None:
        """Store the status of a final reply; interim ones are dropped."""
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            self.headers.clear()
            return
        self.status = status
        if self.method == "CONNECT" and status < FIRST_REDIRECT:
            self._bodiless = True
        self.complete = self._bodiless

    def on_body(self, data: bytes) -> None:
        """Store a part of the body."""
        if not self._bodiless:
            self._body += data

    def on_message_complete(self) -> None:
        """Note the end of a final reply."""
        if self.status:
            self.complete = True
            self.keeps_alive = not self._bodiless and self._parser.should_keep_alive()
