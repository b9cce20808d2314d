"""What is applied to a cluster before the operator starts: CRDs, RBAC and examples.

Called by `cluster` under its lock.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from lcm_operator.local.kubectl import Kubectl
from lcm_operator.local.layout import REPOSITORY, Layout

ESTABLISHED_SECONDS = 60


def apply_manifests(
    layout: Layout, kubectl: Kubectl, progress: Callable[[str], None], *, examples: Sequence[Path]
) -> None:
    """Apply CRDs and RBAC when they have changed, the examples only once: they are the user's then."""
    crds = _manifests("crds")
    files = [*crds, *_manifests("rbac")]
    if layout.state and not layout.state.context:
        files += _manifests("local")
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    stamp = layout.run / "applied"
    applied = stamp.read_text() if stamp.exists() else ""
    if applied == digest:
        return
    progress("applying CRDs and RBAC")
    kubectl.apply(files)
    kubectl(
        "wait",
        "--for=condition=Established",
        f"--timeout={ESTABLISHED_SECONDS}s",
        *(f"--filename={file}" for file in crds),
    )
    if examples and not applied:
        kubectl.apply(examples)
    stamp.write_text(digest)


def _manifests(folder: str) -> list[Path]:
    return sorted((REPOSITORY / "deploy" / folder).glob("*.yaml"))
