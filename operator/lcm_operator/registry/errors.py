"""Failures of a trial registry. Legacy callers and conditions show their texts unchanged."""

from lcm_operator.api import reasons


class RegistryError(Exception):
    """A request to a registry failed. `reason` is for a condition; the text must not contain secrets."""

    reason = reasons.REGISTRY_MISCONFIGURED


class UnreachableError(RegistryError):
    """There was no connection, or no complete reply in time."""

    reason = reasons.REGISTRY_UNREACHABLE

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"Failed to connect to Trial registry at: {url}: {why}")


class BadStatusError(RegistryError):
    """The status is not 200; the text has the beginning of the body, if any, in Python's bytes notation.

    `retry_after`: seconds until the registry wants to be asked again. `note` is added to the text.
    """

    reason = reasons.REGISTRY_REFUSED

    def __init__(self, status: int, body: bytes, retry_after: float | None = None, note: str = "") -> None:
        found = f": {body!r}" if body.strip() else f" status {status} and no body"
        super().__init__(f"Trial registry responded with{found}{note}.")
        self.status = status
        self.retry_after = retry_after


class BadReplyError(RegistryError):
    """The reply is not in the format of a registry."""

    reason = reasons.REGISTRY_REPLY_MALFORMED

    def __init__(self, why: str) -> None:
        super().__init__(f"Failed to parse reply from Trial registry: {why}")


class BadConnectionError(RegistryError):
    """The TrialRegistry or its Secret is invalid."""
