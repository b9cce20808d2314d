"""The API verbs we need, over one bounded aiohttp session.

Used by the operator's hot path, the engine and the local node. It speaks plain dictionaries as they are on
the wire; parsing is for `api`. It retries nothing: whoever calls knows whether a repeat is safe.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, Literal, Self

import aiohttp
import msgspec

from lcm_operator.kube import errors
from lcm_operator.kube.access import Access
from lcm_operator.kube.resources import Resource

Json = dict[str, Any]
_MERGE_PATCH = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
_JSON = "application/json"
_PAGE = 500


def open_session(
    access: Access, connections: int, timeout: aiohttp.ClientTimeout | None = None
) -> aiohttp.ClientSession:
    """Return a session of at most `connections` (0: any number) that carries the identity of `access`.

    The token is looked up for every request, so that its rotation ends no connection.
    """

    async def authorize(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.headers.update(access.authorization())
        return await handler(request)

    connector = aiohttp.TCPConnector(
        limit=connections,
        keepalive_timeout=75,  # below the 90 s after which the API server closes
        ssl=access.ssl_context() or True,
    )
    return aiohttp.ClientSession(
        connector=connector,
        middlewares=(authorize,),
        timeout=timeout or aiohttp.ClientTimeout(total=None, sock_connect=10),
    )


class Client:
    """One identity at one API server. Use as `async with Client(access) as client`."""

    def __init__(self, access: Access, *, connections: int = 64, timeout_seconds: float = 15) -> None:
        self.access = access
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = open_session(self.access, self._connections, self._timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

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
    ) -> AsyncGenerator[tuple[Sequence[Json], str], None]:
        """Yield all objects in pages of 500, each with their resourceVersion: nobody need hold them all."""
        params = {"limit": str(_PAGE)} | _selectors(label_selector, field_selector)
        while True:
            page = await self._call("GET", resource.path(namespace), params=params)
            yield page["items"], page["metadata"]["resourceVersion"]
            more = page["metadata"].get("continue")
            if not more:
                return
            params["continue"] = more

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
        timeout = aiohttp.ClientTimeout(total=timeout_seconds + 30, sock_connect=10, sock_read=100)
        try:
            async with self._open.get(
                self._url(resource.path(namespace)),
                params=params,
                timeout=timeout,
            ) as response:
                if response.status != 200:  # noqa: PLR2004
                    raise _error(response, await response.read())
                async for line in _lines(response.content):
                    event = msgspec.json.decode(line)
                    if event["type"] == "ERROR":
                        raise errors.from_status(event["object"].get("code", 500), event["object"])
                    yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from error

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
    ) -> None:
        """Delete an object, only the one of that `uid` and version if given.

        Raises NotFound, Conflict (another UID or version).
        """
        options: Json = {"propagationPolicy": propagation}
        guards = {"uid": uid, "resourceVersion": resource_version}
        if preconditions := {key: value for key, value in guards.items() if value is not None}:
            options["preconditions"] = preconditions
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        await self._call("DELETE", resource.path(namespace, name), body=options)

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the client is used outside its `async with`")
        return self._session

    def _url(self, path: str) -> str:
        return self.access.server.rstrip("/") + path

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | Sequence[Json] | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = _JSON,
    ) -> Json:
        headers = {"Accept": _JSON}
        data: bytes | None = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = content_type
        try:
            async with self._open.request(
                method, self._url(path), data=data, params=params, headers=headers
            ) as response:
                raw = await response.read()
                if response.status >= 400:  # noqa: PLR2004
                    raise _error(response, raw)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from error
        decoded: Json = msgspec.json.decode(raw)
        return decoded


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    chosen = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in chosen.items() if value}


def _error(response: aiohttp.ClientResponse, raw: bytes) -> errors.ApiError:
    try:
        body: object = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        body = raw[:512].decode(errors="replace")
    return errors.from_status(response.status, body, response.headers.get("Retry-After"))


def _unreachable(error: Exception) -> errors.Unavailable:
    return errors.Unavailable(0, "Unreachable", str(error) or type(error).__name__)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines of a stream whatever their length (aiohttp's own iterator stops at 64 KiB)."""
    rest = bytearray()
    while chunk := await stream.readany():
        rest += chunk
        *whole, last = rest.split(b"\n")
        for line in whole:
            if line.strip():
                yield bytes(line)
        rest = bytearray(last)
