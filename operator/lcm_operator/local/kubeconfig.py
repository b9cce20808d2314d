"""Kubeconfigs for the local cluster's people and processes, complete in one file each.

Called by `cluster`. It must not read or change any other kubeconfig of this machine.
"""

import base64
from pathlib import Path
from typing import Any

import yaml

CONTEXT = "lcm-local"


def write_kubeconfig(file: Path, *, server: str, ca_file: Path, user: dict[str, str]) -> None:
    """Write a kubeconfig whose one context is namespace default as this user."""
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "contexts": [
            {"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT, "namespace": "default"}}
        ],
        "clusters": [
            {"name": CONTEXT, "cluster": {"server": server, "certificate-authority-data": _encoded(ca_file)}}
        ],
        "users": [{"name": CONTEXT, "user": user}],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def certificate_user(pki: Path, name: str) -> dict[str, str]:
    """Return the user part for a client certificate."""
    return {
        "client-certificate-data": _encoded(pki / f"{name}.crt"),
        "client-key-data": _encoded(pki / f"{name}.key"),
    }


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
