"""An API server in memory that refuses or gives no answer on demand."""

from tests.harness.api_server import Json as Raw
from tests.harness.cluster import Cluster

from lcm_operator.kube.errors import ApiError, UnavailableError


class UnreliableCluster(Cluster):
    """`refuses` is raised by each create that a start needs; while it is `away`, nothing is answered."""

    refuses: ApiError | None = None
    away: bool = False

    def get(self, plural: str, name: str, namespace: str | None = None) -> Raw:
        self._answer()
        return super().get(plural, name, namespace)

    def create(self, plural: str, body: Raw, namespace: str | None = None, *, dry_run: bool = False) -> Raw:
        self._answer()
        if self.refuses and plural in ("pods", "trialengines", "leases"):
            raise self.refuses
        return super().create(plural, body, namespace, dry_run=dry_run)

    def orphan(self, plural: str, name: str) -> None:
        """Take the owner off an object, as the garbage collector does for `--cascade=orphan`."""
        self.merge_patch(plural, name, {"metadata": {"ownerReferences": []}})

    def _answer(self) -> None:
        if self.away:
            raise UnavailableError(503, "ServiceUnavailable", "no answer")
