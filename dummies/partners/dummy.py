"""The partner services put together: trial repository, enforcement, KPI monitoring, access tokens.

Served by `__main__`. Each request is noted, fails if that was asked for, and is known if it came before.
"""

from collections.abc import Iterable

from aiohttp import web

from dummies.bodies import Json
from dummies.faults import Faults
from dummies.partners.callbacks import Callbacks
from dummies.partners.enforcement import enforcement
from dummies.partners.journal import Journal
from dummies.partners.monitoring import monitoring
from dummies.partners.repeats import recognising
from dummies.registry.dummy import LARGEST_BODY, repository


def application(seed: Iterable[Json] = (), callback_seconds: float = 1) -> web.Application:
    """Return the services; the repository begins with the trials of `seed`."""
    journal, faults, callbacks = Journal(), Faults(), Callbacks(callback_seconds)
    app = web.Application(
        middlewares=[journal.middleware, faults.middleware, recognising()], client_max_size=LARGEST_BODY
    )
    app.cleanup_ctx.append(callbacks.lifetime)
    for routes in (repository(seed), enforcement(callbacks), monitoring(), journal.routes, faults.routes):
        app.add_routes(routes)
    return app
