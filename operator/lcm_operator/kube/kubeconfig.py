"""Access by a kubeconfig, parsed by the official client.

Imported only where a kubeconfig is used: the official client is too heavy for an engine.
"""

from pathlib import Path

from kubernetes import client as official
from kubernetes import config

from lcm_operator import logs
from lcm_operator.kube.access import Access
from lcm_operator.proxies import Proxy, ProxyError
from lcm_operator.settings import SettingsError

log = logs.get(__name__)


def from_kubeconfig(path: Path, context: str | None = None) -> Access:
    """Return the access that `path` describes for `context` (default: its current one).

    Its `proxy-url` is used, and no proxy of the environment. That the API server is not verified, because the
    file says so, is logged. Raises kubernetes.config.ConfigException if the
    file or the context does not fit, SettingsError if the proxy is not supported.
    """
    settings = official.Configuration(proxy="", no_proxy="")
    config.load_kube_config(str(path), context=context, client_configuration=settings, persist_config=False)
    contexts, active = config.list_kube_config_contexts(str(path))
    chosen = next((c for c in contexts if c["name"] == context), active)
    if not settings.verify_ssl:
        log.warning("API server is not verified: the kubeconfig sets insecure-skip-tls-verify", file=path)
    bearer = str(settings.api_key.get("BearerToken", ""))
    return Access(
        server=settings.host,
        namespace=chosen["context"].get("namespace", "default"),
        ca_file=Path(settings.ssl_ca_cert) if settings.ssl_ca_cert else None,
        client_certificate=Path(settings.cert_file) if settings.cert_file else None,
        client_key=Path(settings.key_file) if settings.key_file else None,
        proxy=_proxy(settings.proxy),
        token=bearer.removeprefix("Bearer ").strip() or None,
        server_name=settings.tls_server_name or None,
        is_verified=settings.verify_ssl,
    )


def _proxy(url: str | None) -> Proxy | None:
    if not url:
        return None
    try:
        return Proxy.parse("proxy-url of the kubeconfig", url)
    except ProxyError as error:
        raise SettingsError(str(error)) from error
