"""One page of a list, decoded lazily: most objects of a re-list are known already.

Objects are decoded one by one, on demand. So a page costs about its own bytes, at most LARGEST_PAGE, whatever
its objects contain. Pure.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from lcm_operator.kube import decoding, errors

Json = dict[str, Any]


LARGEST_PAGE = 16 * 1024 * 1024
"""Bytes: a sixteenth of the smallest container (values.yaml), and ten of the largest objects of etcd."""


class Pages:
    """The size and the start of the next page of a list.

    The size of objects is unknown in advance: a page that is too large is requested again with a quarter of
    the objects; after small pages the number grows again.
    """

    def __init__(self, most: int) -> None:
        self._most = self.limit = most
        self.token = ""

    def query(self, selectors: dict[str, str]) -> dict[str, str]:
        """Return the query of the next page."""
        more = {"continue": self.token} if self.token else {}
        return {"limit": str(self.limit)} | selectors | more

    def shrink(self) -> bool:
        """Reduce the number of objects; return whether that is possible."""
        was, self.limit = self.limit, max(self.limit // 4, 1)
        return self.limit < was

    def took(self, size: int) -> None:
        """Record the size of a page; after a small one the next has twice as many objects."""
        if size < LARGEST_PAGE // 4:
            self.limit = min(self.limit * 2, self._most)


class Head(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The identity and version of an object. A bookmark has no name."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"


class _Headed(msgspec.Struct, frozen=True, gc=False):
    metadata: Head


class _ListMetadata(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    resource_version: str
    continue_: str = msgspec.field(name="continue", default="")


class _Page(msgspec.Struct, frozen=True, gc=False):
    metadata: _ListMetadata
    items: list[msgspec.Raw] | None = None


_PAGE = msgspec.json.Decoder(_Page)
_HEAD = msgspec.json.Decoder(_Headed)


class Listed:
    """One object of a page, decoded on demand."""

    __slots__ = ("_content",)

    def __init__(self, content: msgspec.Raw | Json) -> None:
        self._content = content

    @property
    def head(self) -> Head:
        """Return its head. Raises ApiError if it has none."""
        if isinstance(self._content, dict):
            return head_of(self._content)
        try:
            return _HEAD.decode(self._content).metadata
        except (ValueError, RecursionError):
            return head_of(decoding.decode(bytes(self._content)))

    async def read(self) -> Json:
        """Return the object. Raises ApiError if it is no JSON object."""
        if isinstance(self._content, dict):
            return self._content
        return await read_object(bytes(self._content))


class Page:
    """A page, whose objects are decoded during iteration."""

    def __init__(
        self, contents: Sequence[msgspec.Raw | Json], resource_version: str, continue_token: str
    ) -> None:
        self._contents = contents
        self.resource_version = resource_version
        self.continue_token = continue_token

    def __len__(self) -> int:
        return len(self._contents)

    def __iter__(self) -> Iterator[Listed]:
        return map(Listed, self._contents)

    async def objects(self) -> list[Json]:
        """Return all objects. Raises ApiError."""
        return [item if isinstance(item, dict) else await Listed(item).read() for item in self._contents]


async def read_page(content: bytes, *, whole: bool = False) -> Page:
    """Return the page in an answer. Raises ApiError if it is invalid.

    `whole`: decode it at once, which is cheaper if all objects are needed.
    """
    if whole:
        return await _read_whole(content)
    try:
        page = _PAGE.decode(content)
    except (ValueError, RecursionError):
        return await _read_whole(content)
    return Page(page.items or (), page.metadata.resource_version, page.metadata.continue_)


async def _read_whole(content: bytes) -> Page:
    try:
        value = await decoding.read(content)
        metadata = msgspec.convert(value["metadata"], _ListMetadata)
        contents = [item for item in value.get("items") or () if isinstance(item, dict)]
    except (msgspec.ValidationError, KeyError, TypeError, AttributeError) as error:
        raise errors.unreadable(f"no list: {error}") from error
    return Page(contents, metadata.resource_version, metadata.continue_)


async def read_object(content: bytes) -> Json:
    """Return the JSON object that `content` is. Raises ApiError if it is none."""
    value: object = await decoding.read(content)
    if not isinstance(value, dict):
        raise errors.unreadable("no JSON object")
    return value


def head_of(raw: Json) -> Head:
    """Return the head of a decoded object. Raises ApiError if it has none."""
    try:
        return msgspec.convert(raw, _Headed).metadata
    except msgspec.ValidationError as error:
        raise errors.unreadable(f"no metadata of an object: {error}") from error
