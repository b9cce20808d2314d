"""The handlers that kopf calls: each only puts an object into the cache and a key into the queue.

There are `on.event` handlers and one timer; none writes into the objects. Start times are kept by the queue,
not by kopf.
"""

import contextlib
import dataclasses
from typing import Any

import kopf

from lcm_operator.api import names
from lcm_operator.api.storage import MalformedError
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.registries import Registries

_RETRY_TICK_SECONDS = 10.0
_TICK_SECONDS = 1.0
_GONE = "DELETED"
_ASK_REGISTRY = "ask_registry"


def register(registry: kopf.OperatorRegistry, reconciler: Reconciler, registries: Registries) -> None:
    """Register every handler with kopf."""
    cache = reconciler.cache

    @kopf.on.event(names.GROUP, names.VERSION, "trials", registry=registry)
    async def trial_changed(event: kopf.RawEvent, **_: Any) -> None:
        raw, metadata = event["object"], event["object"]["metadata"]
        if event["type"] == _GONE:
            reconciler.lose_trial(metadata["namespace"], metadata["name"], metadata["uid"])
            await registries.trial_removed(raw)
        else:
            reconciler.take_trial(raw)

    @kopf.on.event(names.GROUP, names.VERSION, "trialengines", registry=registry)
    async def engine_changed(event: kopf.RawEvent, **_: Any) -> None:
        raw, metadata = event["object"], event["object"]["metadata"]
        if event["type"] == _GONE:
            reconciler.lose_engine(metadata["namespace"], metadata["name"], metadata["uid"], raw)
        else:
            reconciler.take_engine(raw)

    @kopf.on.event(names.GROUP, names.VERSION, "trialplans", registry=registry)
    async def plan_changed(event: kopf.RawEvent, **_: Any) -> None:
        metadata = event["object"]["metadata"]
        if event["type"] == _GONE:
            await reconciler.lose_plan(metadata["namespace"], metadata["name"], metadata["uid"])
        else:
            await reconciler.take_plan(event["object"])

    @kopf.on.event("v1", "pods", registry=registry)
    async def pod_ended(event: kopf.RawEvent, **_: Any) -> None:
        if (key := cache.put_pod(event["object"])) is not None:
            reconciler.queue.examine(key)

    _register_registries(registry, reconciler, registries)


def _register_registries(
    registry: kopf.OperatorRegistry, reconciler: Reconciler, registries: Registries
) -> None:
    def exists(meta: kopf.Meta, **_: Any) -> bool:
        return registries.is_known(meta.get("uid", ""))

    @kopf.timer(
        names.GROUP,
        names.VERSION,
        "trialregistries",
        id=_ASK_REGISTRY,
        interval=_TICK_SECONDS,
        when=exists,
        registry=registry,
    )
    async def ask_registry(body: kopf.Body, **_: Any) -> None:
        with contextlib.suppress(MalformedError):  # it was reported when the watch showed it
            registries.tick(dict(body))

    @kopf.on.event(names.GROUP, names.VERSION, "trialregistries", registry=registry)
    async def registry_changed(event: kopf.RawEvent, **_: Any) -> None:
        metadata = event["object"]["metadata"]
        if event["type"] == _GONE:
            registries.forget(metadata["namespace"], metadata["name"], metadata["uid"])
            reconciler.cache.complaints.forget("TrialRegistry", metadata["namespace"], metadata["name"])
        else:
            reconciler.take(reconciler.cache.complaints.look_at_registry, event["object"])
            registries.know(event["object"])

    _without_finalizer(registry, _ASK_REGISTRY)


def _without_finalizer(registry: kopf.OperatorRegistry, timer: str) -> None:
    """Have kopf's timer put no finalizer on its objects, and remove those of earlier versions.

    The finalizer would only end the timer with its object. The filter `exists` does that: kopf asks it once
    more when an object is deleted. With the finalizer nobody could delete a TrialRegistry, its namespace or
    its CRD while no operator runs.
    """
    handlers = registry._spawning._handlers  # noqa: SLF001 - kopf has no option for it
    (number,) = (number for number, handler in enumerate(handlers) if handler.id == timer)
    handlers[number] = dataclasses.replace(handlers[number], requires_finalizer=False)


_KOPF_PAGE = 40
"""Objects: kopf reads a page as a whole, and 40 of 1.5 MiB (etcd's limit) are 60 MiB of our 1 GiB."""


class _NoDifferences(kopf.DiffBaseStorage):
    """No handler of ours needs differences, so kopf need not copy every object to find them."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        """Keep nothing."""


def configure(settings: kopf.OperatorSettings) -> None:
    """Replace the defaults of kopf that don't fit; ADR 0001 has the measurements."""
    settings.persistence.finalizer = names.FINALIZER_TIMER
    settings.persistence.diffbase_storage = _NoDifferences()
    settings.queueing.idle_timeout = 0.5
    settings.watching.chunk_size = _KOPF_PAGE
    settings.watching.field_selectors["v1", "pods"] = "status.phase!=Pending,status.phase!=Running"
    settings.watching.label_selectors["v1", "pods"] = names.LABEL_TRIAL
    settings.networking.request_timeout = 15
    settings.networking.error_backoffs = (0.1, 0.2, 0.5, 1, 2)
    settings.posting.enabled = False
    settings.execution.default_backoff = _RETRY_TICK_SECONDS
