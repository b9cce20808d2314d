"""How the dummies are served."""

from aiohttp import web

from lcm_operator import logs
from lcm_operator.addresses import Address, bind
from lcm_operator.settings import EXIT_STATUS, SettingsError, print_faults

log = logs.get(__name__)


def serve(program: str, variable: str, address: Address, application: web.Application) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status.

    `program` and `variable` are named when `address` can't be listened on.
    """
    try:
        listeners = bind(variable, address)
    except SettingsError as error:
        print_faults(program, error.faults)
        return EXIT_STATUS
    log.info("serving", port=listeners[0].getsockname()[1])
    web.run_app(application, sock=listeners, print=None, shutdown_timeout=1)
    return 0
