"""Calling kubectl on one kubeconfig.

Used by `cluster` and, through it, by tests. It must not touch the caller's own
kubeconfig or caches.
"""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.failure import LocalClusterError


@dataclass(frozen=True)
class Kubectl:
    """The program, on the cluster of one kubeconfig."""

    program: Path
    kubeconfig: Path
    cache: Path

    def __call__(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; with `check`, its failure is an error with its message."""
        done = subprocess.run(
            [
                str(self.program),
                f"--kubeconfig={self.kubeconfig}",
                f"--cache-dir={self.cache}",
                *arguments,
            ],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise LocalClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done

    def get(self, *arguments: str) -> dict[str, Any]:
        """Return what `kubectl get` answers, parsed; an empty dict if there is no such object."""
        answer = self("get", "--ignore-not-found", "-o", "json", *arguments).stdout
        parsed: dict[str, Any] = json.loads(answer) if answer else {}
        return parsed

    def apply(self, files: Iterable[Path], *, stdin: str | None = None) -> None:
        """Apply manifests, `-` from stdin; ours win over what others wrote to the same fields."""
        sources = [f"--filename={file}" for file in files]
        arguments = ("--server-side", "--force-conflicts", "--field-manager=lcm-local", *sources)
        self("apply", *arguments, stdin=stdin)

    def token(self, namespace: str, service_account: str, *, duration: str = "8760h") -> str:
        """Return a fresh token of a ServiceAccount."""
        arguments = ("create", "token", service_account, f"--namespace={namespace}")
        return self(*arguments, f"--duration={duration}").stdout.strip()
