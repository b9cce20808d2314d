"""The errors of requests to the API server, one class for each reaction of a caller.

Callers decide by class, never by status code or text.
"""

from lcm_operator.wire import retry_after as retry_after_header

_LONGEST_MESSAGE = 2048


class ApiError(Exception):
    """The API server refused a request: HTTP `status`, machine-readable `reason`, human `message`."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class NotFoundError(ApiError):
    """404: the object or its kind does not exist."""


class AlreadyExistsError(ApiError):
    """409 on a create: the name is taken."""


class ConflictError(ApiError):
    """409: the resourceVersion or UID that the request was computed from no longer holds."""


class GoneError(ApiError):
    """410: a watch or a list can't be continued; list again."""


class RejectedError(ApiError):
    """400, 403 or 422: the request is rejected unless something else changes first."""


class UnavailableError(ApiError):
    """No answer, 401, 429 or 5xx: the request may succeed later; the outcome of a write is unknown."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        """`retry_after`: the server's Retry-After in seconds."""
        super().__init__(status, reason, message)
        self.retry_after = retry_after


class TooLargeError(ApiError):
    """The answer exceeds the size limit; the rest of it was not read."""


def too_large(most: int) -> TooLargeError:
    """Return the error for an answer of more than `most` bytes."""
    return TooLargeError(0, "AnswerTooLarge", f"the answer has more than {most} bytes")


def unreachable(error: Exception) -> UnavailableError:
    """Return the error for a request without a complete answer."""
    return UnavailableError(0, "Unreachable", str(error) or type(error).__name__)


_BY_STATUS: dict[int, type[ApiError]] = {
    400: RejectedError,
    403: RejectedError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: RejectedError,
}


def unreadable(what: str) -> UnavailableError:
    """Return the error for an invalid answer; the outcome of a write is unknown."""
    return UnavailableError(0, "UnreadableAnswer", what)


def from_status(status: int, body: object, retry_after: str | None = None) -> ApiError:
    """Return the error for an HTTP `status` and its decoded `metav1.Status` (or text).

    The message is cut, as it may quote an object.
    """
    details = body if isinstance(body, dict) else {}
    reason = _text(details.get("reason")) or "Unknown"
    message = (_text(details.get("message")) or _text(body) or "no message")[:_LONGEST_MESSAGE]
    if reason == "AlreadyExists":
        return AlreadyExistsError(status, reason, message)
    if reason == "Expired":
        return GoneError(status, reason, message)
    known = _BY_STATUS.get(status)
    if known is not None:
        return known(status, reason, message)
    if status in (401, 408, 429) or status >= 500:  # noqa: PLR2004 - the class of server errors
        return UnavailableError(status, reason, message, retry_after_header.seconds(retry_after))
    return RejectedError(status, reason, message)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
