"""A full look at the API server: fills the store at the start, and later catches what a watch has missed.

Trials are listed before TrialEngines: a latched Trial's TrialEngine was created before the latch, so it can
only be missing from the second list if it is gone.
"""

import asyncio
import logging
from collections.abc import Callable

from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import ApiError
from lcm_operator.kube.resources import LEASES, TRIAL_ENGINES, TRIAL_PLANS, TRIAL_REGISTRIES, TRIALS

_KINDS = (TRIALS, TRIAL_ENGINES, TRIAL_PLANS, TRIAL_REGISTRIES, LEASES)
_EVERY_SECONDS = 300.0
_DEAF_SECONDS = 5.0
_RETRY_SECONDS = 1.0
log = logging.getLogger(__name__)


async def relist(client: Client, reconciler: Reconciler) -> None:
    """List plans, Trials and TrialEngines and make the store agree with them. Raises ApiError."""
    store = reconciler.store
    before = store.plan_identities()
    plans = (await client.list(TRIAL_PLANS))[0]
    for raw in plans:
        reconciler.take(store.put_plan, raw)
    for namespace, name, uid in before - _identities(plans):
        store.drop_plan(namespace, name, uid)
    before = store.trial_identities()
    trials = (await client.list(TRIALS))[0]
    for raw in trials:
        reconciler.take(store.put_trial, raw)
    for namespace, name, uid in before - _identities(trials):
        reconciler.lose_trial(namespace, name, uid)
    before = store.engine_identities()
    engines = (await client.list(TRIAL_ENGINES))[0]
    for raw in engines:
        reconciler.take(store.put_engine, raw)
    for namespace, name, uid in before - _identities(engines):
        store.drop_engine(namespace, name, uid)
    reconciler.enqueue_all()


async def relist_until_done(client: Client, reconciler: Reconciler) -> None:
    """Fill the store for the first time, however long the API server takes to be there."""
    while True:
        try:
            return await relist(client, reconciler)
        except ApiError as error:
            log.warning("the first list is tried again: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)


async def discovered(client: Client, stop: asyncio.Event) -> None:
    """Return once the API server tells of all our kinds, or `stop` is set.

    kopf looks for kinds when it starts and later only at changes of CRDs: what an API server that is just
    starting does not tell of yet would never be watched.
    """
    while not stop.is_set():
        try:
            if all([await client.serves(kind) for kind in _KINDS]):
                return
        except ApiError as error:
            log.warning("the API server's kinds can't be read yet: %s", error)
        await asyncio.sleep(_RETRY_SECONDS)


async def keep_relisting(client: Client, reconciler: Reconciler, deaf: Callable[[], bool]) -> None:
    """Look at everything again every five minutes; every few seconds while the watches are `deaf`."""
    while True:
        waited = 0.0
        while waited < _EVERY_SECONDS and not (deaf() and waited > 0):
            await asyncio.sleep(_DEAF_SECONDS)
            waited += _DEAF_SECONDS
        try:
            await relist(client, reconciler)
        except ApiError as error:
            log.warning("a list failed, it is tried again: %s", error)


def _identities(items: list[Json]) -> set[tuple[str, str, str]]:
    metadata = [item["metadata"] for item in items]
    return {(entry["namespace"], entry["name"], entry["uid"]) for entry in metadata}
