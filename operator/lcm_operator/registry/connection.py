"""How to reach a registry, from the TrialRegistry and its Secret. Pure.

A Secret is sent only to its intended address: its annotation `lcm.5gdrones.eu/origin` must equal scheme, host
and port of the url. Otherwise anyone who may write a TrialRegistry could have any Secret sent anywhere.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lcm_operator.api import names
from lcm_operator.api.bounds import unread_because
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.outside import OutsideError, credential
from lcm_operator.registry.errors import BadConnectionError

_PORTS = {"http": 80, "https": 443}
_API_KEY_USER = "apikey"


@dataclass(frozen=True)
class Connection:
    """URL, credentials and trusted PEM certificates (None: the system's) of a registry."""

    url: str
    user: str | None = None
    password: str = ""
    authorities: str | None = None

    def __repr__(self) -> str:
        """Return it without the password."""
        return f"Connection({self.url!r}, user={self.user!r})"


def connection_of(registry: TrialRegistry, secret: Mapping[str, Any] | None) -> Connection:
    """Return the connection of a TrialRegistry; `secret`: the Secret that it names, None if that is missing.

    Raises BadConnectionError, whose text must not contain the Secret's content.
    """
    if why := unread_because(registry.spec.trial_template):
        raise BadConnectionError(f"spec.trialTemplate: {why}")
    url, bundle = registry.spec.url, registry.spec.ca_bundle
    authorities = None if bundle is None else _text("caBundle", bundle)
    if registry.spec.auth is None:
        return Connection(url, authorities=authorities)
    name = registry.spec.auth.secret_ref.name
    if secret is None:
        raise BadConnectionError(f"Secret {name} does not exist")
    meant = _origin((secret["metadata"].get("annotations") or {}).get(names.ANNOTATION_ORIGIN, ""))
    if meant is None or meant != _origin(url):
        raise BadConnectionError(
            f"Secret {name} is not meant for {url}: set its annotation {names.ANNOTATION_ORIGIN} to the "
            "scheme, host and port of that URL"
        )
    data = secret.get("data") or {}
    if data.get("apikey"):
        return Connection(url, _API_KEY_USER, _member(name, data, "apikey"), authorities)
    if "user" in data and "password" in data:
        user, password = _member(name, data, "user"), _member(name, data, "password")
        return Connection(url, user, password, authorities)
    raise BadConnectionError(f"Secret {name} must contain the key apikey, or the keys user and password")


def _origin(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port (by default the scheme's) of a URL, None if it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def _member(name: str, data: Mapping[str, str], key: str) -> str:
    what = f"{key} of Secret {name}"
    try:
        found = credential(what, _text(what, data[key]))
    except OutsideError as error:
        raise BadConnectionError(str(error)) from error
    if not found:
        raise BadConnectionError(f"{what} is empty")
    if key == "user" and ":" in found:
        raise BadConnectionError(f"{what} must not contain a colon")
    return found


def _text(what: str, encoded: str) -> str:
    """Return a decoded text without blanks and line ends around it. Raises BadConnectionError."""
    try:
        return base64.b64decode("".join(encoded.split()), validate=True).decode().strip()
    except ValueError as error:
        raise BadConnectionError(f"{what} is not text encoded in base64") from error
