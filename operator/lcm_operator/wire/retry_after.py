"""The header Retry-After: for how long a server wants not to be asked again."""

_MOST_DIGITS = 9
_LONGEST_SECONDS = 30


def seconds(header: str | None) -> float | None:
    """Return how many seconds are asked for, at most 30; None if it gives no number of seconds."""
    if header is None or not (header.isascii() and header.isdigit()):
        return None
    return float(min(int(header[:_MOST_DIGITS]), _LONGEST_SECONDS))
