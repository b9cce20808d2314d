"""The header Retry-After."""

_MOST_DIGITS = 9
_LONGEST_SECONDS = 30


def seconds(header: str | None) -> float | None:
    """Return its seconds, at most 30; None if it is missing or a date."""
    if header is None or not (header.isascii() and header.isdigit()):
        return None
    return float(min(int(header[:_MOST_DIGITS]), _LONGEST_SECONDS))
