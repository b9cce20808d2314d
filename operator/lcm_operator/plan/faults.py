"""A validation error and its place in a plan or a manifest."""

import msgspec

Place = tuple[str | int, ...]
"""A place in a plan or a manifest: the keys and indices that lead to it."""


class Fault(msgspec.Struct, frozen=True):
    """A validation error and its place."""

    place: Place
    message: str

    @property
    def path(self) -> str:
        """The place as text: `activities[2].http.url`."""
        keys = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.place)
        return "".join(keys).removeprefix(".") or "."

    def __str__(self) -> str:
        """Return place and message."""
        return f"{self.path}: {self.message}"
