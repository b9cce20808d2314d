"""The TrialRegistry that the sidecar uses."""

import asyncio
import uuid
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import TypeVar

from lcm_operator.api import names
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.storage import parse
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.resources import SECRETS, TRIAL_REGISTRIES, Resource
from lcm_operator.kube.update import update
from lcm_operator.proxies import DIRECT, Proxies
from lcm_operator.registry.client import RegistryClient
from lcm_operator.registry.connection import connection_of
from lcm_operator.registry.errors import BadConnectionError, BadReplyError
from lcm_operator.registry.listing import Listing, Selection
from lcm_operator.registry.replies import Entry
from lcm_operator.registry.request_queue import in_thread
from lcm_operator.rest.cache.view import View
from lcm_operator.rest.http.replies import HttpRefusalError

_MOST_AHEAD = 20_000
"""Each needs about 2 KiB while it is scheduled; the lists of several callers must fit into memory."""
_LISTS_AT_ONCE = 2
_TRIALS_AT_ONCE = 16
_JUST_NOW = timedelta(seconds=2)
T = TypeVar("T")


class Registry:
    """The TrialRegistry `name` of a namespace. All methods raise ApiError."""

    def __init__(
        self, client: Client, view: View, namespace: str, name: str, proxies: Proxies = DIRECT
    ) -> None:
        self._proxies = proxies
        self.name = name
        self._client = client
        self._view = view
        self._namespace = namespace
        self._lists = asyncio.Semaphore(_LISTS_AT_ONCE)
        self._trials = asyncio.Semaphore(_TRIALS_AT_ONCE)

    async def trial(self, trial_id: str) -> Entry:
        """Return the registry's entry of one trial. Raises RegistryError, MalformedError."""
        return await self._ask(self._trials, lambda client: client.trial(trial_id))

    async def trials_ahead(self, now: datetime, scheduled: Collection[str]) -> Listing:
        """Return the registry's future trials, and its entries of the `scheduled` IDs.

        Raises RegistryError, also if there are too many, and MalformedError.
        """
        selection = Selection(scheduled, _MOST_AHEAD, now - _JUST_NOW)
        listing = await self._ask(self._lists, lambda client: client.list_trials(selection))
        if listing.left_out:
            raise BadReplyError(f"it has more than {_MOST_AHEAD} future trials")
        return listing

    async def _ask(self, few: asyncio.Semaphore, request: Callable[[RegistryClient], T]) -> T:
        """Make a request in a thread; `few` bounds how many run at a time."""
        async with few:
            client = await self._client_of_now()
            return await in_thread(lambda: request(client))

    async def _client_of_now(self) -> RegistryClient:
        raw = await self._get(TRIAL_REGISTRIES, self.name)
        if raw is None:
            raise BadConnectionError(f"TrialRegistry {self.name} does not exist")
        registry = parse(raw, TrialRegistry)
        auth = registry.spec.auth
        secret = await self._get(SECRETS, auth.secret_ref.name) if auth is not None else None
        return RegistryClient(connection_of(registry, secret), proxies=self._proxies)

    async def request_pull(self) -> None:
        """Have the operator read the registry now."""
        patch = {"metadata": {"annotations": {names.ANNOTATION_SYNC: str(uuid.uuid4())}}}
        await self._client.merge_patch(TRIAL_REGISTRIES, self._namespace, self.name, patch)

    async def toggle_automatic(self) -> bool:
        """Toggle the import of the registry's trials; return whether it is on. Raises HttpRefusalError."""

        def change(raw: Json) -> Json:
            return {"spec": {"import": "None" if raw["spec"].get("import") == "All" else "All"}}

        try:
            raw = await update(self._client, TRIAL_REGISTRIES, self._namespace, self.name, change)
        except NotFoundError:
            raise HttpRefusalError(400, f"TrialRegistry {self.name} does not exist") from None
        automatic = bool(raw["spec"].get("import") == "All")
        self._view.set_automatic(automatic=automatic)
        return automatic

    async def _get(self, resource: Resource, name: str) -> Json | None:
        try:
            return await self._client.get(resource, self._namespace, name)
        except NotFoundError:
            return None
