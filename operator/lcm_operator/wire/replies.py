"""What comes: one reply, fed with bytes as they arrive. Pure; used by `connection`.

llhttp does the parsing, strictly. What it leaves to others is done here: a reply to HEAD has no body, one
without a length ends with the connection, interim replies (1xx) are passed over, and nothing grows without
bound.
"""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lcm_operator.wire.errors import WireError

# Of what is neither body nor progress towards it: the head, interim replies, trailers.
LARGEST_OVERHEAD = 64 * 1024
_FIRST_FINAL_STATUS = 200


class Headers(dict[str, str]):
    """Headers by their names in any case; a repeated one is joined by commas."""

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
    """The reply to one request. `status` is 0 until its head is there; `complete` once nothing may follow."""

    def __init__(self, method: str) -> None:
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
        """How many bytes of the body wait to be taken."""
        return len(self._body)

    def take(self) -> bytes:
        """Return what has come of the body since the last time."""
        taken = bytes(self._body)
        self._body.clear()
        return taken

    def feed(self, data: bytes) -> None:
        """Take up what has arrived. Raises WireError when this is no reply, or one without end."""
        if self.complete:
            raise WireError("more came than one reply")
        before = len(self._body)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as error:
            raise WireError("the reply leaves HTTP") from error
        except HttpParserError as error:
            cause = error.__context__
            raise (cause if isinstance(cause, WireError) else WireError(f"no HTTP: {error}")) from error
        self._overhead = 0 if len(self._body) > before else self._overhead + len(data)
        if self._overhead > LARGEST_OVERHEAD:
            raise WireError(f"over {LARGEST_OVERHEAD} bytes of headers")

    def end(self) -> None:
        """Take it that the connection has ended. Raises WireError if the reply has not."""
        if self.complete:
            return
        if not self.status:
            raise WireError("the connection was closed before a reply came")
        if self._has_length:
            raise WireError("the connection was closed within the reply")
        self.complete = True

    @property
    def _has_length(self) -> bool:
        coding = self.headers.get("transfer-encoding") or ""
        return coding.lower().endswith("chunked") or "content-length" in self.headers

    # Called by llhttp.

    def on_message_begin(self) -> None:
        """Refuse a second reply."""
        if self.complete:
            raise WireError("more came than one reply")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; those after the body say nothing that we need."""
        if not self.status:
            self.headers.add(name.decode("ascii"), value.strip(b" \t").decode(errors="replace"))

    def on_headers_complete(self) -> None:
        """Know now what this is a reply to: interim ones leave nothing."""
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            self.headers.clear()
            return
        self.status = status
        self.complete = self._bodiless

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body."""
        if not self._bodiless:
            self._body += data

    def on_message_complete(self) -> None:
        """See the end, if it is not that of an interim reply."""
        if self.status:
            self.complete = True
            self.keeps_alive = not self._bodiless and self._parser.should_keep_alive()
