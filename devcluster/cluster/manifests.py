"""What is applied before the operator starts: CRDs, RBAC, admission policies, plans and examples.

Called by `cluster` under its lock.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from devcluster.cluster.kubectl import Kubectl
from devcluster.cluster.layout import REPOSITORY, Layout
from devcluster.cluster.services import addressed
from devcluster.failure import LocalClusterError

DEPLOY = REPOSITORY / "deploy"
ESTABLISHED_SECONDS = 60


def apply_manifests(
    layout: Layout,
    kubectl: Kubectl,
    progress: Callable[[str], None],
    deploy: Path = DEPLOY,
    *,
    examples: Sequence[Path],
) -> None:
    """Apply what has changed. Examples are made where they are missing, and are the user's from then on."""
    crds = _manifests(deploy / "crds")
    files = [*crds, *_manifests(deploy / "rbac"), *_manifests(deploy / "policies")]
    plans: list[Path] = []
    if layout.state and not layout.state.context:
        files += _manifests(deploy / "local")
        plans = _manifests(deploy / "plans")
    pointed = {file: addressed(layout, file.read_text()) for file in (*plans, *examples)}
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    digest.update("".join(pointed.values()).encode())
    stamp = layout.run / "applied"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    progress("applying CRDs, RBAC and admission policies")
    kubectl.apply(files)
    kubectl(
        "wait",
        "--for=condition=Established",
        f"--timeout={ESTABLISHED_SECONDS}s",
        *(f"--filename={file}" for file in crds),
    )
    for plan in plans:
        kubectl.apply([Path("-")], stdin=pointed[plan])
    for example in examples:
        _create(kubectl, pointed[example])
    stamp.write_text(digest.hexdigest())


def _create(kubectl: Kubectl, manifest: str) -> None:
    """Make an object unless there is one of its name."""
    done = kubectl("create", "--filename=-", stdin=manifest, check=False)
    if done.returncode != 0 and "AlreadyExists" not in done.stderr:
        raise LocalClusterError(f"kubectl create: {done.stderr.strip()}")


def _manifests(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml"))
