"""Full lists of our kinds: they fill the cache at the start, and later find what a watch has missed.

Trials are listed before TrialEngines: the TrialEngine of a latched Trial was created before the latch, so it
is missing from the second list only if it was deleted.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

from lcm_operator import logs
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.time_slice import TimeSlice
from lcm_operator.kube.cache import ObjectCache, Place
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import ApiError, GoneError
from lcm_operator.kube.resources import (
    LEASES,
    TRIAL_ENGINES,
    TRIAL_PLANS,
    TRIAL_REGISTRIES,
    TRIALS,
    Resource,
)

_KINDS = (TRIALS, TRIAL_ENGINES, TRIAL_PLANS, TRIAL_REGISTRIES, LEASES)
_PAGE = 200
_MOST_BEGINNINGS = 3
_EVERY_SECONDS = 300.0
_DEAF_SECONDS = 5.0
_RETRY_SECONDS = 1.0
P = ParamSpec("P")
log = logs.get(__name__)


async def relist(client: Client, reconciler: Reconciler) -> None:
    """List plans, Trials and TrialEngines and make the cache agree with them. Raises ApiError.

    One page is in memory at a time; of an object that is known in this version only the head is read. Only
    slots that differ are examined.
    """
    cache = reconciler.cache
    await _compare(client, TRIAL_PLANS, cache.plans.known, reconciler.take_plan, reconciler.lose_plan)
    take, lose = _at_once(reconciler.take_trial), _at_once(reconciler.lose_trial)
    await _compare(client, TRIALS, cache.known_trials, take, lose)
    take, lose = _at_once(reconciler.take_engine), _at_once(reconciler.lose_engine)
    await _compare(client, TRIAL_ENGINES, cache.known_engines, take, lose)


def _at_once(do: Callable[P, None]) -> Callable[P, Awaitable[None]]:
    async def done(*args: P.args, **kwargs: P.kwargs) -> None:
        do(*args, **kwargs)

    return done


async def _compare(
    client: Client,
    resource: Resource,
    known: ObjectCache[Place, Any],
    take: Callable[[Json], Awaitable[None]],
    lose: Callable[[str, str, str], Awaitable[None]],
) -> None:
    """`take` new objects of a kind, `lose` deleted ones; begin again if the list can't be continued."""
    for beginning in range(1, _MOST_BEGINNINGS + 1):
        try:
            await _compare_once(client, resource, known, take, lose)
        except GoneError:
            if beginning == _MOST_BEGINNINGS:
                raise
        else:
            return


async def _compare_once(
    client: Client,
    resource: Resource,
    known: ObjectCache[Place, Any],
    take: Callable[[Json], Awaitable[None]],
    lose: Callable[[str, str, str], Awaitable[None]],
) -> None:
    slice_, left = TimeSlice(), known.entries()
    async for page in client.listed(resource, limit=_PAGE):
        for listed in page:
            head = listed.head
            place = head.namespace, head.name
            if place in left and left[place].uid == head.uid:
                del left[place]
            if known.is_news(place, head.uid, head.resource_version):
                await take(await listed.read())
            await slice_.rest()
    for (namespace, name), entry in left.items():
        await lose(namespace, name, entry.uid)
        await slice_.rest()


async def relist_until_done(client: Client, reconciler: Reconciler) -> None:
    """Fill the cache for the first time, however long the API server is unavailable."""
    while True:
        try:
            return await relist(client, reconciler)
        except ApiError as error:
            log.warning("first list failed; retrying", error=error)
            await asyncio.sleep(_RETRY_SECONDS)


async def discovered(client: Client, stop: asyncio.Event) -> None:
    """Return once the API server serves all our kinds, or `stop` is set.

    kopf discovers kinds when it starts, and later only at changes of CRDs: a kind that a starting API server
    does not serve yet would never be watched.
    """
    while not stop.is_set():
        try:
            if all([await client.serves(kind) for kind in _KINDS]):
                return
        except ApiError as error:
            log.warning("custom resources not discovered; retrying", error=error)
        await asyncio.sleep(_RETRY_SECONDS)


async def keep_relisting(client: Client, reconciler: Reconciler, deaf: Callable[[], bool]) -> None:
    """List again every five minutes, and every few seconds while the watches are silent (`deaf`)."""
    while True:
        waited = 0.0
        while waited < _EVERY_SECONDS and not (deaf() and waited > 0):
            await asyncio.sleep(_DEAF_SECONDS)
            waited += _DEAF_SECONDS
        try:
            await relist(client, reconciler)
        except ApiError as error:
            log.warning("list failed; retrying", error=error)
