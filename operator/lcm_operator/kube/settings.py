"""The settings of every process that reaches Kubernetes otherwise than as a pod."""

from pathlib import Path

from lcm_operator import kinds
from lcm_operator.proxies import ProxySettings
from lcm_operator.settings import setting

API_SERVER_PROXY = "LCM_API_SERVER_PROXY"


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
