"""What can go wrong with a trial registry. The texts go to legacy callers and into conditions as they are."""

from lcm_operator.api import reasons


class RegistryError(Exception):
    """A registry that told nothing. `reason` is for a condition; the text holds no secret."""

    reason = reasons.REGISTRY_MISCONFIGURED


class UnreachableError(RegistryError):
    """No connection, or no complete reply in time."""

    reason = reasons.REGISTRY_UNREACHABLE

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"Failed to connect to Trial registry at: {url}: {why}")


class BadStatusError(RegistryError):
    """Any status but 200; the body is shown in Python's bytes notation, cut."""

    reason = reasons.REGISTRY_REFUSED

    def __init__(self, status: int, body: bytes, retry_after: float | None = None) -> None:
        """`retry_after`: for how many seconds the registry wants not to be asked again."""
        super().__init__(f"Trial registry responded with: {body!r}.")
        self.status = status
        self.retry_after = retry_after


class BadReplyError(RegistryError):
    """A reply that is not what a registry says."""

    reason = reasons.REGISTRY_REPLY_MALFORMED

    def __init__(self, why: str) -> None:
        super().__init__(f"Failed to parse reply from Trial registry: {why}")


class BadConnectionError(RegistryError):
    """The TrialRegistry, or the Secret that it names, does not say how to reach the registry."""
