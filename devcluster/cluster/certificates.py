"""Keys and certificates of one local cluster, by trustme: one authority, made anew for each cluster.

Called by `cluster` before the first start. It must not decide who may do what: that is RBAC's.
"""

from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from devcluster.cluster.layout import LOOPBACK

# The first address of --service-cluster-ip-range: what the Service `kubernetes` has.
SERVICE_ADDRESS = "10.0.0.1"
# Who has a client certificate: file name, user name, group.
CLIENTS = (
    ("admin", "admin", "system:masters"),
    ("kube-controller-manager", "system:kube-controller-manager", "lcm:local"),
    ("node", "system:node:local", "system:nodes"),
    ("etcd-client", "kube-apiserver", "lcm:local"),
)


def make_certificates(directory: Path, *addresses: str) -> None:
    """Write the authority, the serving pair, a pair for each client, and the key that signs tokens.

    `addresses`: more of them under which the servers are reached.
    """
    directory.mkdir(mode=0o700, parents=True)
    authority = trustme.CA(organization_name="lcm-operator local cluster")
    authority.cert_pem.write_to_path(directory / "ca.crt")
    _write_pair(directory, "server", authority.issue_cert("localhost", LOOPBACK, SERVICE_ADDRESS, *addresses))
    for name, user, group in CLIENTS:
        # Go refuses a certificate whose list of alternative names is empty.
        pair = authority.issue_cert(f"{name}.client", common_name=user, organization_name=group)
        _write_pair(directory, name, pair)
    _write_signing_key(directory)


def _write_pair(directory: Path, name: str, pair: trustme.LeafCert) -> None:
    _write_secret(directory / f"{name}.key", pair.private_key_pem.bytes())
    chain = b"".join(blob.bytes() for blob in pair.cert_chain_pems)
    (directory / f"{name}.crt").write_bytes(chain)


def _write_signing_key(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    _write_secret(
        directory / "service-accounts.key",
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ),
    )
    (directory / "service-accounts.pub").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def _write_secret(file: Path, content: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(content)
