"""The exception by which a request is refused. Raised by the services and `identity`, answered by `app`."""


class Refused(Exception):
    """The request is answered with this HTTP status and `{"detail": detail}`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
