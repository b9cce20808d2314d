"""The partner services put together: trial repository, enforcement, KPI monitoring, access tokens.

Served by `__main__`. Each request is noted, fails if that was asked for, and is known if it came before.
"""

from collections.abc import Iterable

from aiohttp import web

from lcm_operator.partners.callbacks import Callbacks
from lcm_operator.partners.enforcement import enforcement
from lcm_operator.partners.journal import Journal
from lcm_operator.partners.monitoring import monitoring
from lcm_operator.partners.repeats import recognising
from lcm_operator.registry.bodies import Json
from lcm_operator.registry.dummy import LARGEST_BODY, repository
from lcm_operator.registry.faults import Faults


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
