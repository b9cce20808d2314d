"""A whole list, read in the pieces in which it came."""

from collections.abc import Iterable

from lcm_operator.registry.listing import Listing, ListReader, Selection


def read_list(chunks: Iterable[bytes], selection: Selection | None = None) -> Listing:
    """Return what a reply to `/trial/` reports. Raises BadReplyError if it is no list."""
    reader = ListReader(selection or Selection())
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()
