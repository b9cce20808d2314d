"""What the demos have in common: a trial that is applied and followed, and text for those who watch.

A show does what a user would do, and prints each command. It fails with a reason if the outcome differs
from what it announces. Subclassed by `demo` and `flight`.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import yaml
from rich.console import Console
from rich.markup import escape

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.layout import REPOSITORY
from devcluster.demo.narration import Seen, news, standing
from devcluster.failure import LocalClusterError
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.names import ANNOTATION_RESTORE
from lcm_operator.api.storage import Record, parse, rfc3339
from lcm_operator.api.trial import Trial
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.kubeconfig import from_kubeconfig
from lcm_operator.kube.resources import TRIAL_ENGINES, TRIALS, Resource
from lcm_operator.kube.session import pooled

DUE_IN = timedelta(seconds=10)
POLL_SECONDS = 0.2
PATIENCE = timedelta(seconds=90)
R = TypeVar("R", bound=Record)


class Show:
    """One performance of the trial in the file `example`, called `name`."""

    name: str
    example: Path

    def __init__(self, cluster: Cluster, console: Console) -> None:
        self._cluster = cluster
        self._console = console
        self._seen = Seen()

    async def play(self) -> None:
        """Perform, from a trial that is not there to one that has succeeded."""
        self._cluster.kubectl("delete", "trial", self.name, "--ignore-not-found", "--timeout=60s")
        async with pooled(from_kubeconfig(self._cluster.kubeconfig)) as client:
            await self._perform(client)

    async def _perform(self, client: Client) -> None:
        raise NotImplementedError

    def _apply(self) -> None:
        manifest = yaml.safe_load(self.example.read_text())
        due = datetime.now(UTC) + DUE_IN
        manifest["spec"]["startTime"] = rfc3339(due)
        self._command(
            f"kubectl apply -f {self.example.relative_to(REPOSITORY)}",
            f"startTime set to {due.astimezone():%X}",
        )
        self._cluster.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(manifest))

    def _restore(self) -> None:
        self._say("The checkpoint contains all that has succeeded. A restore continues from there.")
        annotation = f"{ANNOTATION_RESTORE}=try-again"
        self._command(f"kubectl annotate trial {self.name} {annotation}")
        self._cluster.kubectl("annotate", "trial", self.name, annotation)

    async def _follow(self, client: Client, until: Callable[[Seen], bool]) -> None:
        """Tell what happens until the trial is so far."""
        deadline = datetime.now(UTC) + PATIENCE
        with self._console.status("") as status:
            while not until(self._seen):
                seen = Seen(
                    await self._read(client, TRIALS, Trial),
                    await self._read(client, TRIAL_ENGINES, TrialEngine),
                )
                for line in news(self._seen, seen):
                    self._print(f"  {datetime.now().astimezone():%X}  {escape(line)}")
                self._seen = seen
                status.update(standing(seen, datetime.now(UTC)))
                if datetime.now(UTC) > deadline:
                    raise LocalClusterError(f"the trial of the demo made no progress: {self._described()}")
                await asyncio.sleep(POLL_SECONDS)

    def _described(self) -> str:
        log = self._cluster.layout.process("operator").log_file
        return f"{self._seen}\nSee {log} and {self._cluster.layout.log / 'pods'}."

    def _say(self, text: str) -> None:
        self._print(f"\n[bold]{text}[/bold]")

    def _command(self, command: str, comment: str = "") -> None:
        aside = f"   [dim]# {comment}[/dim]" if comment else ""
        self._print(f"\n[cyan]$ {escape(command)}[/cyan]{aside}")

    def _print(self, markup: str) -> None:
        self._console.print(markup, highlight=False, soft_wrap=True)

    async def _read(self, client: Client, resource: Resource, kind: type[R]) -> R | None:
        try:
            return parse(await client.get(resource, "default", self.name), kind)
        except NotFoundError:
            return None
