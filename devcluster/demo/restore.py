"""The demo of `make run`: a trial that starts on time, fails on purpose, and is restored from its checkpoint.

Called by `__main__` on a cluster that is up.
"""

from devcluster.cluster.layout import REPOSITORY
from devcluster.demo.narration import Seen
from devcluster.demo.show import Show
from devcluster.failure import LocalClusterError
from lcm_operator.kube.client import Client


class Demo(Show):
    """Apply the trial, watch it fail, restore it, watch it succeed."""

    name = "demo"
    example = REPOSITORY / "examples" / "trial-demo.yaml"

    async def _perform(self, client: Client) -> None:
        self._apply()
        await self._follow(client, lambda seen: seen.failed)
        failed = self._seen
        self._restore()
        await self._follow(client, lambda seen: seen.succeeded and seen.attempt > failed.attempt)
        self._check(failed, self._seen)

    def _check(self, failed: Seen, now: Seen) -> None:
        kept = {name: item for name, item in failed.activities.items() if item.state == "Succeeded"}
        if not kept or any(now.activities[name] != item for name, item in kept.items()):
            raise LocalClusterError(f"the checkpoint was lost: {self._described()}")
        self._say(f"Attempt {now.attempt} continued from there and did not repeat {' and '.join(kept)}.")
