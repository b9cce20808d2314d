"""The settings of processes that send requests: to the API server, and to others."""

from pathlib import Path

from lcm_operator import kinds
from lcm_operator.proxies import Proxies
from lcm_operator.settings import LogSettings, setting

API_SERVER_PROXY = "LCM_API_SERVER_PROXY"


class ProxySettings(LogSettings):
    """The settings of processes that send requests to others than the API server."""

    http_proxy: str | None = setting(
        "HTTP_PROXY",
        kinds.TEXT,
        None,
        "The proxy for http URLs of registries and plans, `http://[user:password@]host[:port]`. "
        "`http_proxy` counts before it.",
        secret=True,
        before="http_proxy",
    )
    https_proxy: str | None = setting(
        "HTTPS_PROXY",
        kinds.TEXT,
        None,
        "The proxy for https URLs of registries and plans, of the same form. `https_proxy` counts before it.",
        secret=True,
        before="https_proxy",
    )
    no_proxy: str | None = setting(
        "NO_PROXY",
        kinds.TEXT,
        None,
        "The hosts that are reached without a proxy, separated by commas: names (with all below them), "
        "addresses, CIDRs, each with `:port` if only that port is meant, or `*` for all. `no_proxy` counts "
        "before it.",
        before="no_proxy",
    )

    @property
    def proxies(self) -> Proxies:
        """The three values."""
        return Proxies(self.http_proxy or "", self.https_proxy or "", self.no_proxy or "")


class ClusterSettings(ProxySettings):
    """How a process reaches Kubernetes."""

    kubeconfig: Path | None = setting(
        "LCM_KUBECONFIG",
        kinds.FILE,
        None,
        "The path of a kubeconfig. If unset, the ServiceAccount of the pod is used.",
    )
    context: str | None = setting(
        "LCM_CONTEXT", kinds.TEXT, None, "The context of the kubeconfig. If unset, its current context."
    )
    api_server_proxy: str | None = setting(
        API_SERVER_PROXY,
        kinds.TEXT,
        None,
        "The proxy for the API server, `http://[user:password@]host[:port]`. If unset, the `proxy-url` of "
        "the kubeconfig, or none: HTTP_PROXY and HTTPS_PROXY do not apply to the API server.",
        secret=True,
    )
