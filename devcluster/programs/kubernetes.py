"""The programs of the control plane: the user's own if KUBEBUILDER_ASSETS names them, else our build.

Called by `__main__` and the tests before a cluster is brought up.
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from devcluster.cluster.layout import REPOSITORY
from devcluster.failure import LocalClusterError
from devcluster.programs.building import Module, built

MODULE = REPOSITORY / "tools" / "controlplane"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
}


def find_programs(progress: Callable[[str], None], module: Path = MODULE) -> Path:
    """Return the folder that holds all programs; it may take minutes the first time."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        missing = [name for name in PACKAGES if not os.access(Path(assets) / name, os.X_OK)]
        if not missing:
            return Path(assets).absolute()
        progress(f"KUBEBUILDER_ASSETS lacks {', '.join(missing)}; using our own build of all programs")
    return built(kubernetes(module, "the control plane", PACKAGES), progress)


def find_kubectl() -> Path:
    """Return the folder of the user's own kubectl, which is all that a cluster of their own takes."""
    kubectl = shutil.which("kubectl")
    if not kubectl:
        raise LocalClusterError("kubectl is not on the PATH; --context needs it")
    return Path(kubectl).parent


def kubernetes(directory: Path, title: str, packages: Mapping[str, str]) -> Module:
    """Return a module of programs of Kubernetes, which carry the version that its go.mod requires."""
    found = re.search(r"k8s\.io/kubernetes v(\d+)\.(\d+)\.(\S+)", (directory / "go.mod").read_text())
    if not found:
        raise LocalClusterError(f"{directory}/go.mod does not require k8s.io/kubernetes")
    major, minor, patch = found.groups()
    # Without these, /version is not a version, and kubectl and Helm refuse it.
    stamps = {"gitVersion": f"v{major}.{minor}.{patch}", "gitMajor": major, "gitMinor": minor}
    linked = " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamps.items())
    return Module(directory, title, packages, linked)
