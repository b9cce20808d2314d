"""One page of a list, of which only the heads are decoded: most objects of a re-list are known already.

An object is decoded one by one, when somebody wants it. So a page costs about its own bytes, whatever its
objects become as Python values; and it has no more than LARGEST_PAGE, whatever its objects hold. Pure.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from lcm_operator.kube import decoding, errors

Json = dict[str, Any]


LARGEST_PAGE = 16 * 1024 * 1024
"""Bytes: a sixteenth of the smallest container (values.yaml), and ten of the largest objects of etcd."""


class Pages:
    """How many objects the next page of a list is asked for, and where it begins.

    Nobody knows how large the next objects are. A page that is too large is asked for again with a quarter of
    the objects; after small ones it is more again.
    """

    def __init__(self, most: int) -> None:
        self._most = self.limit = most
        self.token = ""

    def query(self, selectors: dict[str, str]) -> dict[str, str]:
        """Return the query of the next page."""
        more = {"continue": self.token} if self.token else {}
        return {"limit": str(self.limit)} | selectors | more

    def shrink(self) -> bool:
        """Ask for fewer objects; return whether that is possible."""
        was, self.limit = self.limit, max(self.limit // 4, 1)
        return self.limit < was

    def took(self, size: int) -> None:
        """Note the size of a page: twice as many objects would fit where it was small."""
        if size < LARGEST_PAGE // 4:
            self.limit = min(self.limit * 2, self._most)


class Head(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What tells one object and its version from all others. A bookmark has no name."""

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
    """One object of a page. Its head and the whole are decoded when they are asked for."""

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
    """A page: its objects are decoded as they are gone through."""

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
    """Return the page that an answer holds. Raises ApiError if it is none.

    `whole`: decode it at once; that is cheaper where all objects are wanted.
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
