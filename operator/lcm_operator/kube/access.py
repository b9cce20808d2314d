"""Address, trust and credentials of an API server.

Made once in a composition root and passed to `kube.client`. Inside a pod it comes from the projected
ServiceAccount volume; elsewhere from a kubeconfig (`kube.kubeconfig`).
"""

import os
import ssl
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from lcm_operator import trust
from lcm_operator.kube.clock import elapsed
from lcm_operator.kube.settings import API_SERVER_PROXY, ClusterSettings
from lcm_operator.proxies import Proxy, ProxyError
from lcm_operator.settings import SettingsError

SERVICE_ACCOUNT_DIRECTORY = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REREAD_TOKEN_SECONDS = 30.0


class TokenFile:
    """A bearer token in a file that is rotated externally; read again at most every 30 s."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self._read_at = -_REREAD_TOKEN_SECONDS

    def read(self) -> str:
        """Return the current token."""
        now = elapsed()
        if now - self._read_at >= _REREAD_TOKEN_SECONDS:
            self._token = self._path.read_text().strip()
            self._read_at = now
        return self._token


class Access(Struct, frozen=True):
    """One API server and one identity there. At most one of client certificate and token is set."""

    server: str
    namespace: str = "default"
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    token: str | None = None
    token_file: TokenFile | None = None
    proxy: Proxy | None = None
    server_name: str | None = None
    """The name in the server's certificate, if not that of its address."""
    is_verified: bool = True

    def authorization(self) -> dict[str, str]:
        """Return the headers with the current credentials."""
        token = self.token_file.read() if self.token_file else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the trust for https, or None for plain http."""
        if not self.server.startswith("https:"):
            return None
        context = (
            trust.client_context(cafile=self.ca_file) if self.is_verified else trust.unverifying_context()
        )
        if self.client_certificate:
            context.load_cert_chain(self.client_certificate, self.client_key)
        return context


def in_cluster(directory: Path = SERVICE_ACCOUNT_DIRECTORY) -> Access:
    """Return the access of the pod that this process runs in.

    `directory` holds `token`, `ca.crt` and `namespace`, as kubelet projects them; the address comes from
    KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT. Raises KeyError or OSError outside a pod.
    """
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=(directory / "namespace").read_text().strip(),
        ca_file=directory / "ca.crt",
        token_file=TokenFile(directory / "token"),
    )


def from_settings(settings: ClusterSettings) -> Access:
    """Return the access by a kubeconfig, or that of the pod where none is named.

    Raises SettingsError, or what `kubeconfig.from_kubeconfig` or `in_cluster` raises.
    """
    if settings.kubeconfig is None:
        access = in_cluster()
    else:
        # It takes 10 MiB of memory.
        from lcm_operator.kube.kubeconfig import from_kubeconfig  # noqa: PLC0415

        access = from_kubeconfig(settings.kubeconfig, settings.context)
    if not settings.api_server_proxy:
        return access
    try:
        return replace(access, proxy=Proxy.parse(API_SERVER_PROXY, settings.api_server_proxy))
    except ProxyError as error:
        raise SettingsError(str(error)) from error
