"""The downward API: what a pod may ask about itself, for env and for volumes.

Called by `environment` and `volumes`. Pure; the API server has checked that the field path exists.
"""

import json
import re
from typing import Any

Json = dict[str, Any]
ADDRESS = "127.0.0.1"
_ONE_KEY = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


def field(pod: Json, path: str) -> str:
    """Return the value of a fieldRef. Raises KeyError for a path that this node doesn't know."""
    metadata, spec = pod["metadata"], pod["spec"]
    one_key = _ONE_KEY.fullmatch(path)
    if one_key:
        value: str = metadata.get(one_key[1], {}).get(one_key[2], "")
        return value
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "metadata.labels": _lines(metadata.get("labels", {})),
        "metadata.annotations": _lines(metadata.get("annotations", {})),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": ADDRESS,
        "status.podIPs": ADDRESS,
        "status.hostIP": ADDRESS,
        "status.hostIPs": ADDRESS,
    }
    return str(known[path])


def _lines(pairs: dict[str, str]) -> str:
    return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(pairs.items()))
