"""Helm, the judges of its output and of health, CRDs of others: Go modules, built once for all clones."""

from pathlib import Path

from devcluster.programs.building import Files, Module

TOOLS = Path(__file__).parents[1]
HELM = Module(TOOLS / "helm", "Helm 4", {"helm": "helm.sh/helm/v4/cmd/helm"})
KSTATUS = Module(TOOLS / "helm", "kstatus", {"kstatus": "./kstatus"})
"""The rules by which Helm 4 and Flux wait, in the version that Helm requires."""
HELM3 = Module(TOOLS / "helm3", "Helm 3", {"helm": "helm.sh/helm/v3/cmd/helm"})
KUBE_SCORE = Module(
    TOOLS / "kube-score", "kube-score", {"kube-score": "github.com/zegl/kube-score/cmd/kube-score"}
)
GATEWAY_API = Files(
    TOOLS / "gateway-api", "the CRDs of the Gateway API", "sigs.k8s.io/gateway-api", "config/crd/standard"
)
PROMETHEUS_OPERATOR = Files(
    TOOLS / "prometheus-operator",
    "the CRDs of the Prometheus Operator",
    "github.com/prometheus-operator/prometheus-operator",
    "example/prometheus-operator-crd",
)
LUA = Module(TOOLS / "lua", "Lua", {"glua": "github.com/yuin/gopher-lua/cmd/glua"})
"""The interpreter that Argo CD runs its health checks with."""
