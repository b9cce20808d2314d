"""A container's environment, as kubelet builds it, on top of a clean one.

Called by a pod's preparation. It reads ConfigMaps and Secrets through `sources`, and nothing else.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from devcluster.node import downward
from devcluster.node.expansion import expand
from devcluster.node.sources import NotReadyError, Sources

Json = dict[str, Any]
_HTTPS = 443


def basis(pod: Json, home: Path) -> dict[str, str]:
    """Return what every container has, whatever the pod says: our interpreter is first on the PATH."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    hostname = pod["spec"].get("hostname") or pod["metadata"]["name"]
    return {"PATH": programs, "HOME": str(home), "LANG": "C.UTF-8", "HOSTNAME": hostname}


def api_server(server: str) -> dict[str, str]:
    """Return where a pod finds the API server."""
    address = urlsplit(server)
    host, port = address.hostname or "", str(address.port or _HTTPS)
    return {
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": port,
        "KUBERNETES_SERVICE_PORT_HTTPS": port,
    }


async def declared(
    pod: Json, container: Json, sources: Sources, services: Mapping[str, str]
) -> dict[str, str]:
    """Return the services, `envFrom` and `env`, expanded. Raises NotReadyError."""
    variables = dict(services)
    for entry in container.get("envFrom", []):
        variables |= await _whole(entry, sources)
    for entry in container.get("env", []):
        if "valueFrom" in entry:
            value = await _referred(pod, entry["valueFrom"], sources)
        else:
            value = expand(entry.get("value", ""), variables)
        if value is not None:
            variables[entry["name"]] = value
    return variables


async def _whole(entry: Json, sources: Sources) -> dict[str, str]:
    if "configMapRef" in entry:
        reference = entry["configMapRef"]
        data = await sources.config_map(reference["name"], optional=reference.get("optional", False))
    else:
        reference = entry["secretRef"]
        data = await sources.secret(reference["name"], optional=reference.get("optional", False))
    prefix = entry.get("prefix", "")
    return {prefix + key: _text(value) for key, value in (data or {}).items()}


async def _referred(pod: Json, origin: Json, sources: Sources) -> str | None:
    if "fieldRef" in origin:
        return downward.field(pod, origin["fieldRef"]["fieldPath"])
    if "configMapKeyRef" in origin:
        reference, kind = origin["configMapKeyRef"], "ConfigMap"
        data = await sources.config_map(reference["name"], optional=reference.get("optional", False))
    else:
        reference, kind = origin["secretKeyRef"], "Secret"
        data = await sources.secret(reference["name"], optional=reference.get("optional", False))
    value = (data or {}).get(reference["key"])
    if value is None:
        if reference.get("optional", False):
            return None
        raise NotReadyError(f'{kind} "{reference["name"]}" has no key "{reference["key"]}"')
    return _text(value)


def _text(value: bytes) -> str:
    """Return bytes so that the process gets the same bytes again, whatever they are."""
    return value.decode(errors="surrogateescape")
