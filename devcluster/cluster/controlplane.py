"""How etcd, kube-apiserver and kube-controller-manager are called, and how each says that it is ready.

Called by `cluster`. It must not start anything: it only writes argument lists from a layout.
"""

from pathlib import Path

from devcluster.cluster.certificates import SERVICE_ADDRESS
from devcluster.cluster.layout import LOOPBACK, Layout

AUDIT_POLICY = Path(__file__).with_name("audit-policy.yaml")

# What trials, engines and their pods rely on; the rest of the controllers would only cost time.
CONTROLLERS = (
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "resourcequota-controller",
    "ttl-after-finished-controller",
    "pod-garbage-collector-controller",
    "disruption-controller",
    "clusterrole-aggregation-controller",
    "validatingadmissionpolicy-status-controller",
)


def etcd(layout: Layout) -> list[str]:
    """Etcd answers to certificates of this cluster only: other users of the machine could write pods else."""
    client = f"https://{LOOPBACK}:{layout.ports['etcd']}"
    peer = f"https://{LOOPBACK}:{layout.ports['etcd-peer']}"
    return [
        str(layout.bin / "etcd"),
        f"--data-dir={layout.etcd_data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        "--client-cert-auth",
        f"--trusted-ca-file={layout.pki}/ca.crt",
        f"--cert-file={layout.pki}/server.crt",
        f"--key-file={layout.pki}/server.key",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={layout.pki}/ca.crt",
        f"--peer-cert-file={layout.pki}/server.crt",
        f"--peer-key-file={layout.pki}/server.key",
    ]


def kube_apiserver(layout: Layout) -> list[str]:
    """Return how the API server is called."""
    return [
        str(layout.bin / "kube-apiserver"),
        f"--etcd-servers=https://{LOOPBACK}:{layout.ports['etcd']}",
        f"--etcd-cafile={layout.pki}/ca.crt",
        f"--etcd-certfile={layout.pki}/etcd-client.crt",
        f"--etcd-keyfile={layout.pki}/etcd-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={layout.pki}/ca.crt",
        f"--kubelet-client-certificate={layout.pki}/etcd-client.crt",
        f"--kubelet-client-key={layout.pki}/etcd-client.key",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={layout.ports['kube-apiserver']}",
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={layout.pki}/server.crt",
        f"--tls-private-key-file={layout.pki}/server.key",
        f"--client-ca-file={layout.pki}/ca.crt",
        f"--service-account-key-file={layout.pki}/service-accounts.pub",
        f"--service-account-signing-key-file={layout.pki}/service-accounts.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-cluster-ip-range={SERVICE_ADDRESS.rsplit('.', 1)[0]}.0/24",
        "--authorization-mode=RBAC",
        "--profiling=false",
        f"--audit-policy-file={AUDIT_POLICY}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-maxsize=200",
        "--audit-log-maxbackup=2",
    ]


def kube_controller_manager(layout: Layout) -> list[str]:
    """Return how the controller manager is called."""
    kubeconfig = layout.service_kubeconfig("kube-controller-manager")
    return [
        str(layout.bin / "kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--root-ca-file={layout.pki}/ca.crt",
        f"--service-account-private-key-file={layout.pki}/service-accounts.key",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--profiling=false",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={layout.ports['kube-controller-manager']}",
        f"--tls-cert-file={layout.pki}/server.crt",
        f"--tls-private-key-file={layout.pki}/server.key",
        f"--controllers={','.join(CONTROLLERS)}",
    ]
