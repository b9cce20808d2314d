"""How a registry is reached, from the TrialRegistry and the Secret that it names. Pure.

A Secret is sent only where it was meant for: its annotation `lcm.5gdrones.eu/origin` must equal scheme, host
and port of the url. Otherwise whoever may write a TrialRegistry could have any Secret sent anywhere.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from lcm_operator.api import names
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.registry.client import Connection
from lcm_operator.registry.errors import BadConnection

_PORTS = {"http": 80, "https": 443}
_API_KEY_USER = "apikey"


def connection_of(registry: TrialRegistry, secret: Mapping[str, Any] | None) -> Connection:
    """Return the connection of a TrialRegistry; `secret`: the one that it names, as the API server has it.

    Raises BadConnection, which says what is wrong with them, without what the Secret holds.
    """
    url, bundle = registry.spec.url, registry.spec.ca_bundle
    authorities = None if bundle is None else _text("caBundle", bundle)
    if registry.spec.auth is None:
        return Connection(url, authorities=authorities)
    name = registry.spec.auth.secret_ref.name
    if secret is None:
        raise BadConnection(f"Secret {name} does not exist")
    meant = (secret["metadata"].get("annotations") or {}).get(names.ANNOTATION_ORIGIN, "")
    if not meant or _origin(meant) != _origin(url):
        raise BadConnection(
            f"Secret {name} is not for {_shown(url)}: its annotation {names.ANNOTATION_ORIGIN} must say so"
        )
    data = {key: _text(f"{key} of Secret {name}", value) for key, value in (secret.get("data") or {}).items()}
    if key := data.get("apikey"):
        return Connection(url, _API_KEY_USER, key, authorities)
    if "user" in data and "password" in data:
        return Connection(url, data["user"], data["password"], authorities)
    raise BadConnection(f"Secret {name} must hold apikey, or user and password")


def _origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port; a port that is not given is that of the scheme."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _text(what: str, encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().strip()
    except (binascii.Error, ValueError) as error:
        raise BadConnection(f"{what} is not base64 over text") from error
