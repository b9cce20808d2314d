"""Kubeconfigs for the local cluster's people and processes, complete in one file each.

Called by `cluster`. It must not change any kubeconfig but ours, and reads the user's own only for a context
that was named.
"""

import base64
import subprocess
from pathlib import Path
from typing import Any

import yaml

from devcluster.failure import LocalClusterError

CONTEXT = "lcm-local"


def write_kubeconfig(file: Path, *, server: str, ca_file: Path, user: dict[str, str]) -> None:
    """Write a kubeconfig whose one context is namespace default as this user."""
    target = {"cluster": CONTEXT, "user": CONTEXT, "namespace": "default"}
    _write(
        file,
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": CONTEXT,
            "contexts": [{"name": CONTEXT, "context": target}],
            "clusters": [
                {
                    "name": CONTEXT,
                    "cluster": {"server": server, "certificate-authority-data": _encoded(ca_file)},
                }
            ],
            "users": [{"name": CONTEXT, "user": user}],
        },
    )


def write_with_token(file: Path, *, admin: Path, token: str) -> None:
    """Write a kubeconfig like the admin's, but as the one whose token it is."""
    document = yaml.safe_load(admin.read_text())
    for user in document["users"]:
        user["user"] = {"token": token}
    _write(file, document)


def copy_context(file: Path, context: str) -> None:
    """Write a kubeconfig of just this context of the user's own."""
    view = ["kubectl", "config", "view", "--raw", "--minify", "--flatten", f"--context={context}"]
    done = subprocess.run(view, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("error: ")
        raise LocalClusterError(f"context {context} of your kubeconfig cannot be used: {said}")
    document = yaml.safe_load(done.stdout)
    document["contexts"][0]["context"]["namespace"] = "default"
    _write(file, document)


def server_of(file: Path) -> str:
    """Return the address of the API server."""
    server: str = yaml.safe_load(file.read_text())["clusters"][0]["cluster"]["server"]
    return server


def certificate_user(pki: Path, name: str) -> dict[str, str]:
    """Return the user part for a client certificate."""
    return {
        "client-certificate-data": _encoded(pki / f"{name}.crt"),
        "client-key-data": _encoded(pki / f"{name}.key"),
    }


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _write(file: Path, document: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(yaml.safe_dump(document, sort_keys=False))
    draft.replace(file)
