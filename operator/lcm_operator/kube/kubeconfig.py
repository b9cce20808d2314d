"""Access by a kubeconfig, parsed by the official client.

Imported only where a kubeconfig is used: the official client is too heavy for an engine.
"""

from pathlib import Path

from kubernetes import client as official
from kubernetes import config

from lcm_operator.kube.access import Access


def from_kubeconfig(path: Path, context: str | None = None) -> Access:
    """Return the access that `path` describes for `context` (default: its current one).

    Raises kubernetes.config.ConfigException if the file or the context does not fit.
    """
    settings = official.Configuration()
    config.load_kube_config(str(path), context=context, client_configuration=settings, persist_config=False)
    contexts, active = config.list_kube_config_contexts(str(path))
    chosen = next((c for c in contexts if c["name"] == context), active)
    bearer = str(settings.api_key.get("BearerToken", ""))
    return Access(
        server=settings.host,
        namespace=chosen["context"].get("namespace", "default"),
        ca_file=Path(settings.ssl_ca_cert) if settings.ssl_ca_cert else None,
        client_certificate=Path(settings.cert_file) if settings.cert_file else None,
        client_key=Path(settings.key_file) if settings.key_file else None,
        token=bearer.removeprefix("Bearer ").strip() or None,
    )
