"""The demo of `make run PLAN=5gdrones`: a trial with the dummy partners, which fail once on purpose.

Called by `__main__` on a cluster that is up, with its services.
"""

import json
from typing import Any

import requests

from devcluster.cluster.layout import REPOSITORY
from devcluster.cluster.services import PARTNERS, REGISTRY, REST, address
from devcluster.demo.narration import Seen
from devcluster.demo.show import Show
from devcluster.failure import LocalClusterError
from lcm_operator.kube.client import Client
from lcm_operator.plan.signals import FINISH

FAULT = {"kind": "status", "path": "/flightplan", "count": 1}
_TIMEOUT_SECONDS = 30


class Flight(Show):
    """Have the flight plan refused, restore the trial, say when the drone flies and when it is back."""

    name = "first-flight"
    example = REPOSITORY / "examples" / "trial-5gdrones.yaml"

    async def _perform(self, client: Client) -> None:
        self._ask(PARTNERS, "DELETE", "/_journal")
        self._say("The registry has the trial, and it is approved. A partner will fail once.")
        self._ask(REGISTRY, "PUT", f"/trial/{self.name}/", {"status": "APPROVED"})
        self._ask(PARTNERS, "PUT", "/_faults", FAULT)
        self._apply()
        await self._follow(client, lambda seen: seen.failed)
        self._restore()
        await self._follow(client, lambda seen: _waits_for(seen, "active"))
        self._say("Everything is in place. The drone takes off.")
        self._ask(REST, "POST", f"/trial/{self.name}/active")
        await self._follow(client, lambda seen: _waits_for(seen, FINISH))
        self._say("The drone has landed.")
        self._ask(REST, "POST", f"/trial/{self.name}/finish")
        await self._follow(client, lambda seen: seen.succeeded)
        self._check(self._ask(PARTNERS, "GET", "/_journal").json())

    def _check(self, journal: list[dict[str, Any]]) -> None:
        """Check that no partner received a request again that it had carried out."""
        done = [
            entry["headers"]["Idempotency-Key"] for entry in journal if entry["status"] in range(200, 300)
        ]
        if not done or len(set(done)) != len(done):
            raise LocalClusterError(f"a partner received the same request twice: {self._described()}")
        self._say(f"The partners carried out {len(done)} requests for it, none of them twice.")

    def _ask(self, service: str, method: str, path: str, body: Any = None) -> requests.Response:
        """Do as `curl` would do, and say so."""
        url = f"http://{address(self._cluster.layout, service)}{path}"
        key = self._cluster.layout.api_key
        shown = f'-H "Authorization: $(cat {key})" ' if service == REST else ""
        sent = f" -d '{json.dumps(body)}'" if body is not None else ""
        self._command(f"curl {shown}-X {method} {url}{sent}")
        headers = {"Authorization": key.read_text()} if service == REST else {}
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, url, json=body, headers=headers, timeout=_TIMEOUT_SECONDS)
        if not answer.ok:
            raise LocalClusterError(f"{method} {url} was answered {answer.status_code}: {answer.text}")
        return answer


def _waits_for(seen: Seen, signal: str) -> bool:
    """Return whether the trial waits for this signal now."""
    if seen.engine is None:
        return False
    waits = [one.name for one in seen.engine.spec.activities if one.wait and one.wait.signal == signal]
    return any(seen.activities[name].state == "Running" for name in waits if name in seen.activities)
