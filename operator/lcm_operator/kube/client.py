"""The API verbs we need, for the operator's hot path, the sidecar, the engine and the local node.

Made by `session.pooled`, in an engine by `wired.lean`. It speaks plain dictionaries as they are on the wire;
parsing is for `api`. It retries nothing: whoever calls knows whether a repeat is safe. No object makes a
list, a watch or the answer to a write fail: what nests too deep in it is cut (`decoding`). An answer that is
no JSON is Unavailable.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode

import msgspec

from lcm_operator.kube import decoding, errors
from lcm_operator.kube.access import Access
from lcm_operator.kube.listing import Page, read_page
from lcm_operator.kube.resources import Resource
from lcm_operator.kube.transport import Stream, Transport

Json = dict[str, Any]
_MERGE_PATCH = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
_JSON = "application/json"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE = 500


class Client:
    """One identity at one API server. Use as `async with pooled(access) as client`.

    `namespaces`: those that are meant where a list names none; empty: all.
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
        """Return one object. Raises NotFound, Unavailable."""
        return await self._call("GET", resource.path(namespace, name))

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
        async for page, version in self.pages(  # noqa: B007 - the last one counts
            resource, namespace, label_selector=label_selector, field_selector=field_selector
        ):
            items += page
        return items, version

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncGenerator[tuple[Sequence[Json], str], None]:
        """Yield all objects in pages of 500, each with their resourceVersion: nobody need hold them all.

        `metadata_only`: the API server sends no more of them than that.
        """
        accept = _METADATA_LIST if metadata_only else _JSON
        selectors = {"limit": str(_PAGE)} | _selectors(label_selector, field_selector)
        for place in (self.namespaces if namespace is None else ()) or (namespace,):
            params = selectors
            while True:
                page = await self._call("GET", resource.path(place), params=params, accept=accept)
                items, metadata = page.get("items"), page.get("metadata")
                if not isinstance(metadata, dict) or "resourceVersion" not in metadata:
                    raise errors.unreadable(f"no list of {resource.plural}")
                yield items or (), metadata["resourceVersion"]
                more = metadata.get("continue")
                if not more:
                    break
                params = selectors | {"continue": more}

    async def listed(
        self, resource: Resource, namespace: str | None = None, *, limit: int = _PAGE
    ) -> AsyncGenerator[Page, None]:
        """Yield all objects in pages of `limit`, undecoded but for their heads. Raises ApiError.

        Gone: the list took so long that it can't be continued; begin again.
        """
        for place in (self.namespaces if namespace is None else ()) or (namespace,):
            params = {"limit": str(limit)}
            while True:
                answer = await self._answer("GET", resource.path(place), params=params)
                page = await read_page(answer)
                del answer
                yield page
                if not page.continue_token:
                    break
                params = {"limit": str(limit), "continue": page.continue_token}
                del page

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

        Raises Gone when the version is too old: list again.
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
                raise _error(stream.status, await _all(stream))
            rest = b""
            while part := await stream.read():
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield _event(await _read(line))

    async def serves(self, resource: Resource) -> bool:
        """Return whether the API server tells of a kind in its discovery, which lags behind serving it.

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
        """Create an object and return it. Raises AlreadyExists, Refused, Unavailable."""
        params = {"dryRun": "All"} if dry_run else {}
        return await self._call("POST", resource.path(namespace), body=body, params=params)

    async def create_under(
        self, resource: Resource, namespace: str, name: str, subresource: str, body: Mapping[str, Any]
    ) -> Json:
        """Post to a subresource of an object (a pod's `binding`, a ServiceAccount's `token`)."""
        return await self._call("POST", resource.path(namespace, name, subresource), body=body)

    async def create_token(self, namespace: str, service_account: str, spec: Mapping[str, Any]) -> Json:
        """Ask for a token of a ServiceAccount (TokenRequest.spec) and return TokenRequest.status."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        status: Json = (await self._call("POST", path, body=body))["status"]
        return status

    async def merge_patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Json, *, subresource: str = ""
    ) -> Json:
        """Apply a JSON merge patch and return the object; put `metadata.resourceVersion` into it as guard.

        Raises Conflict when that version or UID no longer holds, NotFound, Refused, Unavailable.
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

        Raises Conflict when it is another object by now, NotFound, Refused, Unavailable.
        """
        path = resource.path(namespace, name, subresource)
        return await self._call("PATCH", path, body=patch, content_type=_STRATEGIC_MERGE_PATCH)

    async def replace(
        self, resource: Resource, namespace: str | None, body: Json, *, subresource: str = ""
    ) -> Json:
        """Replace an object (its `metadata.resourceVersion` is the guard) and return it."""
        path = resource.path(namespace, body["metadata"]["name"], subresource)
        return await self._call("PUT", path, body=body)

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
        NotFound, Conflict (another UID or version).
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
        accept: str = _JSON,
    ) -> Json:
        answer = await self._answer(
            method, path, body=body, params=params, content_type=content_type, accept=accept
        )
        return await _read(answer)

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | Sequence[Json] | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> bytes:
        headers = {"Accept": accept}
        content: bytes | None = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["Content-Type"] = content_type
        answer = await self._transport.request(method, _target(path, params), headers, content)
        if answer.status >= 400:  # noqa: PLR2004
            raise _error(answer.status, answer.content, answer.retry_after)
        return answer.content


async def _read(content: bytes) -> Json:
    try:
        value: object = await decoding.read(content)
    except decoding.UndecodableError as error:
        raise errors.unreadable(str(error)) from error
    if not isinstance(value, dict):
        raise errors.unreadable("no JSON object")
    return value


async def _all(stream: Stream) -> bytes:
    content = bytearray()
    while part := await stream.read():
        content += part
    return bytes(content)


def _event(event: Json) -> tuple[str, Json]:
    """Return what a line of a watch says. Raises what the API server reports in it."""
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
    except decoding.UndecodableError:
        body = content[:512].decode(errors="replace")
    return errors.from_status(status, body, retry_after)
