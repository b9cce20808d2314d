"""The demo of `make run`: a trial that starts on time, fails on purpose, and is restored from its checkpoint.

Called by `__main__` on a cluster that is up. It does what a user would do, by kubectl, and says each command.
It fails with a reason if anything goes otherwise than told.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import yaml
from rich.console import Console
from rich.markup import escape

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.names import ANNOTATION_RESTORE
from lcm_operator.api.storage import Record, parse, rfc3339
from lcm_operator.api.trial import Trial
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import NotFound
from lcm_operator.kube.kubeconfig import from_kubeconfig
from lcm_operator.kube.resources import TRIAL_ENGINES, TRIALS, Resource
from lcm_operator.kube.session import pooled
from lcm_operator.local.cluster import Cluster
from lcm_operator.local.failure import LocalClusterError
from lcm_operator.local.layout import REPOSITORY
from lcm_operator.local.narration import Seen, news, standing

EXAMPLE = REPOSITORY / "examples" / "trial-demo.yaml"
NAME = "demo"
DUE_IN = timedelta(seconds=10)
POLL_SECONDS = 0.2
PATIENCE = timedelta(seconds=90)
R = TypeVar("R", bound=Record)


class Demo:
    """One performance."""

    def __init__(self, cluster: Cluster, console: Console) -> None:
        self._cluster = cluster
        self._console = console
        self._seen = Seen()

    async def play(self) -> None:
        """Apply the trial, watch it fail, restore it, watch it succeed."""
        self._cluster.kubectl("delete", "trial", NAME, "--ignore-not-found", "--timeout=60s")
        async with pooled(from_kubeconfig(self._cluster.kubeconfig)) as client:
            self._apply()
            await self._follow(client, lambda seen: seen.failed)
            failed = self._seen
            self._restore()
            await self._follow(client, lambda seen: seen.succeeded and seen.attempt > failed.attempt)
        self._check(failed, self._seen)

    def _apply(self) -> None:
        manifest = yaml.safe_load(EXAMPLE.read_text())
        due = datetime.now(UTC) + DUE_IN
        manifest["spec"]["startTime"] = rfc3339(due)
        self._command(
            f"kubectl apply -f {EXAMPLE.relative_to(REPOSITORY)}", f"startTime set to {due.astimezone():%X}"
        )
        self._cluster.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(manifest))

    def _restore(self) -> None:
        self._say("What has succeeded stands in the checkpoint. The trial is told to go on from there.")
        annotation = f"{ANNOTATION_RESTORE}=try-again"
        self._command(f"kubectl annotate trial {NAME} {annotation}")
        self._cluster.kubectl("annotate", "trial", NAME, annotation)

    async def _follow(self, client: Client, until: Callable[[Seen], bool]) -> None:
        """Tell what happens until the trial is so far."""
        deadline = datetime.now(UTC) + PATIENCE
        with self._console.status("") as status:
            while not until(self._seen):
                seen = Seen(
                    await _read(client, TRIALS, Trial), await _read(client, TRIAL_ENGINES, TrialEngine)
                )
                for line in news(self._seen, seen):
                    self._print(f"  {datetime.now().astimezone():%X}  {escape(line)}")
                self._seen = seen
                status.update(standing(seen, datetime.now(UTC)))
                if datetime.now(UTC) > deadline:
                    raise LocalClusterError(f"the demo's trial got stuck: {self._described()}")
                await asyncio.sleep(POLL_SECONDS)

    def _check(self, failed: Seen, now: Seen) -> None:
        kept = {name: item for name, item in failed.activities.items() if item.state == "Succeeded"}
        if not kept or any(now.activities[name] != item for name, item in kept.items()):
            raise LocalClusterError(f"the checkpoint was not kept: {self._described()}")
        self._say(f"Attempt {now.attempt} went on from there: it did not repeat {' and '.join(kept)}.")

    def _described(self) -> str:
        log = self._cluster.layout.process("operator").log_file
        return f"{self._seen}\nSee {log} and {self._cluster.layout.log / 'pods'}."

    def _say(self, text: str) -> None:
        self._print(f"\n[bold]{text}[/bold]")

    def _command(self, command: str, comment: str = "") -> None:
        aside = f"   [dim]# {comment}[/dim]" if comment else ""
        self._print(f"\n[cyan]$ {command}[/cyan]{aside}")

    def _print(self, markup: str) -> None:
        self._console.print(markup, highlight=False, soft_wrap=True)


async def _read(client: Client, resource: Resource, kind: type[R]) -> R | None:
    try:
        return parse(await client.get(resource, "default", NAME), kind)
    except NotFound:
        return None
