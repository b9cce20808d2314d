"""All objects of a kind and their changes, across outages of the API server.

    Listing ──> Changed … ──> Listed ──> Changed, Deleted …    a watch, reopened where it ended
       ^                                        │
       └── too old, or failed before its first event

After an outage or a new list, an object may be yielded again in a version that was seen before: keep the
newest (`cache`). Each is decoded and read once. An unreadable object is reported once for each reason, and
skipped; it counts as listed.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Generic, TypeVar

from msgspec import Struct

from lcm_operator import logs
from lcm_operator.kube import errors
from lcm_operator.kube.backoff import Backoff
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.clock import Clock, NodeClock
from lcm_operator.kube.errors import ApiError, GoneError
from lcm_operator.kube.listing import Head, head_of
from lcm_operator.kube.resources import Resource

_SHORT_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 1.0
T = TypeVar("T")
log = logs.get(__name__)


class Listing(Struct, frozen=True):
    """A list is about to be requested: everything known by now is older."""


class Changed(Struct, Generic[T], frozen=True):
    """An object exists, in this version or a newer one."""

    head: Head
    object: T


class Listed(Struct, frozen=True):
    """The list is complete: objects known before it and missing from it no longer exist."""

    uids: frozenset[str]
    resource_version: str


class Deleted(Struct, frozen=True):
    """An object no longer exists, or no longer matches the selector."""

    head: Head


Event = Listing | Changed[T] | Listed | Deleted


class ListWatch(Generic[T]):
    """The objects of one kind in one namespace or all; optionally only one `name`, or those selected.

    `read` converts each object to the yielded value; it raises ValueError for an unreadable one.
    `longest_pause`: the maximum pause between two tries, in seconds.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        namespace: str | None = None,
        *,
        read: Callable[[Json], T],
        name: str = "",
        field_selector: str = "",
        label_selector: str = "",
        longest_pause: float = _LONGEST_PAUSE_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._read = read
        self._selector = f"metadata.name={name}" if name else field_selector
        self._label_selector = label_selector
        self._about = f"{resource.kind} {name}" if name else resource.plural
        self._clock = clock or NodeClock()
        self._heard_at = self._clock.elapsed()
        self._backoff = Backoff(longest_pause)
        self._version = ""
        self._unreadable: dict[str, str] = {}
        """Why objects can't be read, by UID."""

    def silence(self) -> float:
        """Return the seconds since data was received; the API server sends a bookmark each minute."""
        return self._clock.elapsed() - self._heard_at

    async def events(self, since: str = "") -> AsyncGenerator[Event[T], None]:
        """Yield what exists and what happens to it, without end.

        `since`: a resourceVersion of which everything is known: without a first list.
        """
        self._version = before = since
        while True:
            try:
                if not self._version:
                    yield Listing()
                    async with aclosing(self._list()) as items:
                        async for item in items:
                            yield item
                before = self._version
                async with aclosing(self._watch()) as events:
                    async for event in events:
                        yield event
            except ApiError as error:
                if isinstance(error, GoneError):
                    log.info("watch expired; listing again", of=self._about)
                if isinstance(error, GoneError) or self._version == before:
                    self._version = ""
                await self._backoff.wait(f"following {self._about}", error)

    async def states(self, since: str = "") -> AsyncGenerator[T | None, None]:
        """Yield the one followed object after each change, None if it does not exist."""
        async with aclosing(self.events(since)) as events:
            async for event in events:
                match event:
                    case Changed():
                        yield event.object
                    case Deleted():
                        yield None
                    case Listed() if not event.uids:
                        yield None

    async def _list(self) -> AsyncGenerator[Changed[T] | Listed, None]:
        uids: set[str] = set()
        version = ""
        pages = self._client.listed(
            self._resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._selector,
        )
        async with aclosing(pages):
            async for page in pages:
                self._heard_at = self._clock.elapsed()
                for item in page:
                    raw = await item.read()
                    head = head_of(raw)
                    uids.add(head.uid)
                    for changed in self._changed(head, raw):
                        yield changed
                version = page.resource_version
        self._unreadable = {uid: why for uid, why in self._unreadable.items() if uid in uids}
        self._version = version
        yield Listed(frozenset(uids), version)

    async def _watch(self) -> AsyncGenerator[Changed[T] | Deleted, None]:
        """Yield events until the watch ends. Raises ApiError, also if it ends immediately."""
        opened = self._clock.elapsed()
        events = self._client.watch(
            self._resource,
            self._namespace,
            resource_version=self._version,
            label_selector=self._label_selector,
            field_selector=self._selector,
        )
        async with aclosing(events):
            async for kind, raw in events:
                self._heard_at = self._clock.elapsed()
                head = head_of(raw)
                if head.resource_version == "0":
                    raise errors.unreadable(f"watch event without a resourceVersion: {kind}")
                self._version = head.resource_version
                self._backoff.reset()
                if kind == "DELETED":
                    self._unreadable.pop(head.uid, None)
                    yield Deleted(head)
                elif kind != "BOOKMARK":
                    for changed in self._changed(head, raw):
                        yield changed
        if self._clock.elapsed() - opened < _SHORT_SECONDS:
            raise errors.unreadable("the watch ended at once")
        self._backoff.reset()

    def _changed(self, head: Head, raw: Json) -> list[Changed[T]]:
        """Return the object as it is yielded; an empty list, after a report, if it is unreadable."""
        try:
            value = self._read(raw)
        except ValueError as error:
            if self._unreadable.get(head.uid) != str(error):
                self._unreadable[head.uid] = str(error)
                log.warning(
                    "unreadable object",
                    kind=self._resource.kind,
                    namespace=head.namespace,
                    name=head.name,
                    error=error,
                )
            return []
        self._unreadable.pop(head.uid, None)
        return [Changed(head, value)]
