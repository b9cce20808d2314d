"""Events about the operator itself. They refer to the election's Lease, the only object of its own."""

from collections.abc import Callable

from lcm_operator.api.metadata import Metadata
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.leases import Lease
from lcm_operator.kube.resources import LEASES

_ONE_A_SECONDS = 60.0


class OwnEvents:
    """At most one Event a minute of each reason. `tell` queues one, `lease` returns the Lease as seen."""

    def __init__(self, tell: Callable[..., None], lease: Callable[[], Lease | None], clock: Clock) -> None:
        self._tell = tell
        self._lease = lease
        self._clock = clock
        self._told: dict[str, float] = {}

    def warn(self, reason: str, message: str) -> bool:
        """Queue a Warning; return False if there is no Lease yet, or the last one is too recent."""
        lease, now = self._lease(), self._clock.elapsed()
        if lease is None or now - self._told.get(reason, -_ONE_A_SECONDS) < _ONE_A_SECONDS:
            return False
        self._told[reason] = now
        about = Metadata(name=lease.name, namespace=lease.namespace, uid=lease.uid)
        self._tell(LEASES.kind, about, reason, message, warning=True)
        return True
