"""The settings of every process that reaches Kubernetes otherwise than as a pod."""

from pathlib import Path

from lcm_operator import kinds
from lcm_operator.settings import LogSettings, setting


class ClusterSettings(LogSettings):
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
