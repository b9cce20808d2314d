"""The API verbs we need, for the operator's hot path, the sidecar, the engine and the local node.

Made by `session.pooled`, in an engine by `wired.lean`. It returns plain dictionaries; `api` parses them. It
retries nothing: only the caller knows whether a repeat is safe. No object can make a list, a watch or the
answer to a write fail: values that nest too deep are cut (`decoding`). An answer that is no JSON raises
UnavailableError.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode

import msgspec

from lcm_operator.kube import decoding, errors
from lcm_operator.kube.access import Access
from lcm_operator.kube.listing import LARGEST_PAGE, Page, Pages, read_object, read_page
from lcm_operator.kube.resources import PODS, Resource
from lcm_operator.kube.transport import Stream, Transport

Json = dict[str, Any]
_MERGE_PATCH = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
_JSON = "application/json"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE = 500
_LONGEST_LINE = 64 * 1024 * 1024
"""The largest objects take some MiB; an endless line would take all memory."""


class Client:
    """One identity at one API server. Use as `async with pooled(access) as client`.

    `namespaces`: the namespaces of lists without one; empty: all.
    """

    def __init__(self, access: Access, transport: Transport, namespaces: Sequence[str] = ()) -> None:
        self.access = access
        self.namespaces = namespaces
        self._transport = transport

    async def __aenter__(self) -> Self:
        await self._transport.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json:
        """Return one object. Raises NotFoundError, UnavailableError."""
        return await self._call("GET", resource.path(namespace, name))

    async def log(self, namespace: str, pod: str, container: str, *, lines: int, most: int) -> bytes:
        """Return the last lines of a container's log, of these at most the first `most` bytes.

        Raises ApiError.
        """
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(most)}
        return await self._send("GET", _target(f"{PODS.path(namespace, pod)}/log", query), {"Accept": "*/*"})

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> tuple[list[Json], str]:
        """Return all objects (of all namespaces if None), read in pages of 500, and their resourceVersion."""
        items: list[Json] = []
        version = ""
        async for page in self.listed(
            resource, namespace, label_selector=label_selector, field_selector=field_selector, whole=True
        ):
            items += await page.objects()
            version = page.resource_version
        return items, version

    async def listed(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        whole: bool = False,
        limit: int = _PAGE,
    ) -> AsyncGenerator[Page, None]:
        """Yield all objects in pages of at most `limit`, decoded one by one or as a `whole`. Raises ApiError.

        `metadata_only`: the API server sends no more of them than that.
        GoneError: the list took too long to be continued; start again.
        """
        headers = {"Accept": _METADATA_LIST if metadata_only else _JSON}
        selectors = _selectors(label_selector, field_selector)
        for place in (self.namespaces if namespace is None else ()) or (namespace,):
            pages = Pages(limit)
            while True:
                answer = await self._page(resource.path(place), pages, selectors, headers)
                page = await read_page(answer, whole=whole)
                del answer
                yield page
                pages.token = page.continue_token
                if not pages.token:
                    break
                del page

    async def _page(
        self, path: str, pages: Pages, selectors: dict[str, str], headers: dict[str, str]
    ) -> bytes:
        """Return the next page, of as many objects as fit into LARGEST_PAGE. Raises ApiError."""
        while True:
            try:
                target = _target(path, pages.query(selectors))
                answer = await self._send("GET", target, headers, most=LARGEST_PAGE)
            except errors.TooLargeError:
                if not pages.shrink():
                    raise
            else:
                pages.took(len(answer))
                return answer

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 280,
    ) -> AsyncGenerator[tuple[str, Json], None]:
        """Yield (type, object) after `resource_version` until the server ends it; BOOKMARKs included.

        Raises GoneError when the version is too old: list again.
        """
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        } | _selectors(label_selector, field_selector)
        target = _target(resource.path(namespace), params)
        async with self._transport.stream(target, {"Accept": _JSON}) as stream:
            if stream.status != 200:  # noqa: PLR2004
                raise _error(stream.status, await _all(stream), stream.retry_after)
            async for line in _lines(stream):
                yield _event(await read_object(line))

    async def serves(self, resource: Resource) -> bool:
        """Return whether the API server's discovery, which lags behind, contains a kind.

        Raises ApiError.
        """
        group, _, version = resource.api.partition("/")
        groups = await self._call("GET", "/apis")
        if group not in {known["name"] for known in groups["groups"]}:
            return False
        kinds = await self._call("GET", f"/apis/{group}/{version}")
        return resource.plural in {known["name"] for known in kinds["resources"]}

    async def create(
        self, resource: Resource, namespace: str | None, body: Mapping[str, Any], *, dry_run: bool = False
    ) -> Json:
        """Create an object and return it. Raises AlreadyExistsError, RejectedError, UnavailableError.

        `dry_run`: only ask whether it would be created; fields that the API server would drop are rejected.
        """
        params = {"dryRun": "All", "fieldValidation": "Strict"} if dry_run else {}
        return await self._call("POST", resource.path(namespace), body=body, params=params)

    async def create_under(
        self, resource: Resource, namespace: str, name: str, subresource: str, body: Mapping[str, Any]
    ) -> Json:
        """Post to a subresource of an object (a pod's `binding`, a ServiceAccount's `token`)."""
        return await self._call("POST", resource.path(namespace, name, subresource), body=body)

    async def merge_patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Json, *, subresource: str = ""
    ) -> Json:
        """Apply a JSON merge patch and return the object; put `metadata.resourceVersion` into it as guard.

        Raises ConflictError (another version or UID), NotFoundError, RejectedError, UnavailableError.
        """
        path = resource.path(namespace, name, subresource)
        return await self._call("PATCH", path, body=patch, content_type=_MERGE_PATCH)

    async def json_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        operations: Sequence[Json],
        *,
        subresource: str = "",
    ) -> Json:
        """Apply a JSON patch and return the object; replace `/metadata/resourceVersion` in it as guard.

        Unlike a merge patch it keeps nulls within lists of objects. Raises as `merge_patch` does.
        """
        path = resource.path(namespace, name, subresource)
        return await self._call("PATCH", path, body=operations, content_type=_JSON_PATCH)

    async def strategic_merge_patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Json, *, subresource: str = ""
    ) -> Json:
        """Merge into an object of a built-in kind, lists by their keys; put `metadata.uid` into it as guard.

        Raises ConflictError (another UID), NotFoundError, RejectedError, UnavailableError.
        """
        path = resource.path(namespace, name, subresource)
        return await self._call("PATCH", path, body=patch, content_type=_STRATEGIC_MERGE_PATCH)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_seconds: int | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
    ) -> Json:
        """Delete an object, only the one of that `uid` and version if given.

        Return what the API server shows of it: of some kinds the object's last state, else a Status. Raises
        NotFoundError, ConflictError (another UID or version).
        """
        options: Json = {"propagationPolicy": propagation}
        guards = {"uid": uid, "resourceVersion": resource_version}
        if preconditions := {key: value for key, value in guards.items() if value is not None}:
            options["preconditions"] = preconditions
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        return await self._call("DELETE", resource.path(namespace, name), body=options)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | Sequence[Json] | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = _JSON,
    ) -> Json:
        headers, content = {"Accept": _JSON}, None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["Content-Type"] = content_type
        return await read_object(await self._send(method, _target(path, params), headers, content))

    async def _send(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        content: bytes | None = None,
        most: int | None = None,
    ) -> bytes:
        answer = await self._transport.request(method, target, headers, content, most)
        if answer.status >= 300:  # noqa: PLR2004 - it never sends anybody elsewhere
            raise _error(answer.status, answer.content, answer.retry_after)
        return answer.content


async def _all(stream: Stream) -> bytes:
    content = bytearray()
    while part := await stream.read():
        content += part
    return bytes(content)


async def _lines(stream: Stream) -> AsyncGenerator[bytes, None]:
    """Yield what ends with a line end; an event that was cut off is none. Raises UnavailableError."""
    rest = bytearray()
    while part := await stream.read():
        first, *others = part.split(b"\n")
        rest += first
        for other in others:
            if rest.strip():
                yield bytes(rest)
            rest = bytearray(other)
        if len(rest) > _LONGEST_LINE:
            raise errors.unreadable(f"a watch event of more than {_LONGEST_LINE} bytes")


def _event(event: Json) -> tuple[str, Json]:
    """Return type and object of a watch event. Raises the error that the API server reports in it."""
    kind, about = event.get("type"), event.get("object")
    if not isinstance(kind, str) or not isinstance(about, dict):
        raise errors.unreadable("no watch event")
    if kind == "ERROR":
        code = about.get("code")
        raise errors.from_status(code if isinstance(code, int) else 500, about)
    return kind, about


def _target(path: str, params: Mapping[str, str] | None) -> str:
    return quote(path) + (f"?{urlencode(params)}" if params else "")


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    chosen = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in chosen.items() if value}


def _error(status: int, content: bytes, retry_after: str | None = None) -> errors.ApiError:
    try:
        body: object = decoding.decode(content)
    except errors.UnavailableError:
        body = content[:512].decode(errors="replace")
    return errors.from_status(status, body, retry_after)
