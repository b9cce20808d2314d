"""The programs of the control plane: the user's own if KUBEBUILDER_ASSETS names them, else our build.

Called by `__main__` and the tests before a cluster is brought up. Built once for all clones of a user from
the Go module under tools/: the cache's key is its go.mod and go.sum, the platform and the way of building.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from lcm_operator.local.cache import cache_directory, made_once
from lcm_operator.local.failure import LocalClusterError
from lcm_operator.local.layout import REPOSITORY
from lcm_operator.local.toolchain import find_go

MODULE = REPOSITORY / "tools" / "controlplane"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
}

SIGN_OF_LIFE_SECONDS = 30


def find_programs(progress: Callable[[str], None], module: Path = MODULE) -> Path:
    """Return the folder that holds all programs; it may take minutes the first time."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        missing = [name for name in PACKAGES if not os.access(Path(assets) / name, os.X_OK)]
        if not missing:
            return Path(assets).absolute()
        progress(f"KUBEBUILDER_ASSETS has no {', '.join(missing)}: using our own build of all programs")
    flags = _flags(module)
    return made_once(
        cache_directory() / "controlplane" / _key(module, flags),
        lambda draft: _build(module, flags, draft, progress),
        waiting=lambda: progress("waiting for another process that builds the control plane"),
    )


def find_kubectl() -> Path:
    """Return the folder of the user's own kubectl, which is all that a cluster of their own takes."""
    kubectl = shutil.which("kubectl")
    if not kubectl:
        raise LocalClusterError("no kubectl on the PATH: it is needed for a context of your own")
    return Path(kubectl).parent


def _flags(module: Path) -> list[str]:
    found = re.search(r"k8s\.io/kubernetes v(\d+)\.(\d+)\.(\S+)", (module / "go.mod").read_text())
    if not found:
        raise LocalClusterError(f"{module}/go.mod does not require k8s.io/kubernetes")
    major, minor, patch = found.groups()
    # Without these, /version is not a version, and kubectl and Helm refuse it.
    stamps = {"gitVersion": f"v{major}.{minor}.{patch}", "gitMajor": major, "gitMinor": minor}
    linked = " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamps.items())
    return ["-mod=readonly", "-buildvcs=false", "-trimpath", f"-ldflags=-s -w {linked}"]


def _key(module: Path, flags: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((module / name).read_bytes())
    digest.update("\n".join([platform.system(), platform.machine(), *flags, *PACKAGES]).encode())
    return digest.hexdigest()[:16]


def _build(module: Path, flags: Sequence[str], draft: Path, progress: Callable[[str], None]) -> None:
    go = str(find_go(module, progress))
    progress(f"building the control plane once, with {go} (about four minutes on two cores)")
    _go([go, "mod", "download"], module, "getting the control plane's sources", progress)
    for number, (name, package) in enumerate(PACKAGES.items(), start=1):
        build = [go, "build", *flags, "-o", str(draft / name), package]
        _go(build, module, f"building {name} ({number} of {len(PACKAGES)})", progress)


def _go(command: Sequence[str], module: Path, purpose: str, progress: Callable[[str], None]) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in {"GOOS", "GOARCH"}}
    progress(purpose)
    with subprocess.Popen(
        command,
        cwd=module,
        env={**inherited, "CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = None
        while said is None:
            try:
                said = process.communicate(timeout=SIGN_OF_LIFE_SECONDS)[1]
            except subprocess.TimeoutExpired:
                progress(f"still {purpose}")
    if process.returncode != 0:
        last = "\n".join(said.splitlines()[-20:])
        raise LocalClusterError(f"{purpose} failed:\n{last}")
