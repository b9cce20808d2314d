"""A real node: kubelet, containerd and kube-proxy, with a whole control plane, in the namespaces of run.sh.

The argument lists are those of the local cluster where it has them. Nothing is taken down: that is done by
the kernel, when the namespaces end.
"""

import os
import subprocess
from pathlib import Path

import requests
import yaml

from devcluster.cluster import controlplane
from devcluster.cluster.certificates import make_certificates
from devcluster.cluster.kubeconfig import certificate_user, write_kubeconfig
from devcluster.cluster.kubectl import Kubectl
from devcluster.cluster.layout import Layout, State
from devcluster.cluster.processes import Background
from devcluster.waiting import wait_until

ADDRESS = "10.99.0.1"
NAME = "local"  # of its certificate: system:node:local
PORTS = {"etcd": 2379, "etcd-peer": 2380, "kube-apiserver": 6443, "kube-controller-manager": 10257}
IMAGES = ("lcm-operator", "lcm-operator-pause", "lcm-dummies")
READY_SECONDS = 90

CONTAINERD = """\
version = 2
root = "{directory}/containerd"
state = "/run/containerd"
[grpc]
address = "/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/library/lcm-operator-pause:e2e"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{directory}/cni"
"""
NETWORK = """\
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.98.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
"""


def changed(arguments: list[str], **flags: str) -> list[str]:
    """Return an argument list with some flags set otherwise."""
    named = {f"--{name.replace('_', '-')}": value for name, value in flags.items()}
    kept = [argument for argument in arguments if argument.split("=")[0] not in named]
    return [*kept, *(f"{name}={value}" for name, value in named.items())]


class RealNode:
    """The cluster of one node."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.layout = Layout(directory)
        self.kubectl = Kubectl(
            self.layout.bin / "kubectl", self.layout.kubeconfig, cache=directory / "kubectl-cache"
        )

    def process(self, name: str) -> Background:
        return self.layout.process(name)

    def start(self) -> None:
        """Start everything, in order; return when the node is Ready."""
        layout = self.layout
        layout.run.mkdir()
        layout.state_file.write_text(State(PORTS).for_storage())
        make_certificates(layout.pki, ADDRESS)
        for name, file in (
            ("admin", layout.kubeconfig),
            ("node", layout.service_kubeconfig("kubelet")),
            ("kube-controller-manager", layout.service_kubeconfig("kube-controller-manager")),
        ):
            server = f"https://{ADDRESS}:{PORTS['kube-apiserver']}"
            user = certificate_user(layout.pki, name)
            write_kubeconfig(file, server=server, ca_file=layout.pki / "ca.crt", user=user)
        self._run("etcd", controlplane.etcd(layout))
        self._run("kube-apiserver", self._api_server())
        self._until(lambda: self._answers(f"https://{ADDRESS}:6443/readyz"), "the API server answers")
        admin = layout.kubeconfig
        manager = changed(
            controlplane.kube_controller_manager(layout), controllers="*", allocate_node_cidrs="false"
        )
        self._run("kube-controller-manager", manager)
        scheduler = [f"{layout.bin}/kube-scheduler", f"--kubeconfig={admin}", "--leader-elect=false"]
        self._run("kube-scheduler", scheduler)
        self._start_containerd()
        self._write(
            "kube-proxy.yaml",
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "mode": "iptables",
                # Without the module br_netfilter, which would be the host's, answers on a bridge pass by it.
                "iptables": {"masqueradeAll": True},
                "hostnameOverride": NAME,
                "clientConnection": {"kubeconfig": str(admin)},
                "conntrack": {
                    "maxPerCore": 0,
                    "min": 0,
                    "tcpCloseWaitTimeout": "0s",
                    "tcpEstablishedTimeout": "0s",
                },
            },
        )
        self._run("kube-proxy", [f"{layout.bin}/kube-proxy", f"--config={self.directory}/kube-proxy.yaml"])
        self.start_kubelet()

    def start_kubelet(self) -> None:
        """Start the kubelet; return when the node is Ready."""
        self._write(
            "kubelet.yaml",
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "authentication": {
                    "anonymous": {"enabled": False},
                    "x509": {"clientCAFile": f"{self.layout.pki}/ca.crt"},
                },
                # The API server asks the kubelet for logs and connections, and verifies whom it asks.
                "tlsCertFile": f"{self.layout.pki}/server.crt",
                "tlsPrivateKeyFile": f"{self.layout.pki}/server.key",
                "cgroupDriver": "cgroupfs",
                "cgroupRoot": os.environ["LCM_E2E_CGROUP"],
                "containerRuntimeEndpoint": "unix:///run/containerd.sock",
                "enforceNodeAllocatable": [],
                "evictionHard": {
                    "memory.available": "50Mi",
                    "nodefs.available": "1%",
                    "imagefs.available": "1%",
                },
                "failCgroupV1": False,
                "failSwapOn": False,
                "nodeStatusUpdateFrequency": "2s",
                "resolvConf": f"{self.directory}/resolv.conf",
            },
        )
        (self.directory / "resolv.conf").write_text("nameserver 10.0.0.10\n")
        self._run(
            "kubelet",
            [
                f"{self.layout.bin}/kubelet",
                f"--config={self.directory}/kubelet.yaml",
                f"--kubeconfig={self.layout.service_kubeconfig('kubelet')}",
                f"--root-dir={self.directory}/kubelet",
                f"--hostname-override={NAME}",
                f"--node-ip={ADDRESS}",
            ],
        )
        self._until(self.ready, "the node is Ready")

    def stop_kubelet(self) -> None:
        self.process("kubelet").stop(grace=10)

    def ready(self) -> bool:
        """Whether the node says that it is well."""
        node = self.kubectl.get("node", NAME)
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in node.get("status", {}).get("conditions", [])
        )

    def tag(self, name: str) -> None:
        """Give the image one more tag."""
        image = "docker.io/library/lcm-operator"
        self._ctr("images", "tag", f"{image}:e2e", f"{image}:{name}")

    def pids(self, pod_uid: str, command: str) -> list[int]:
        """Return the processes of a pod whose command line has this in it."""

        def is_meant(process: Path) -> bool:
            try:
                mine = pod_uid in (process / "cgroup").read_text()
                return mine and command in (process / "cmdline").read_text()
            except OSError:  # it has ended
                return False

        return [int(found.name) for found in Path("/proc").glob("[0-9]*") if is_meant(found)]

    def _api_server(self) -> list[str]:
        pki = self.layout.pki
        return changed(
            controlplane.kube_apiserver(self.layout),
            bind_address=ADDRESS,
            advertise_address=ADDRESS,
            endpoint_reconciler_type="lease",
            allow_privileged="true",
            authorization_mode="Node,RBAC",
            enable_admission_plugins="NodeRestriction",
            kubelet_client_certificate=f"{pki}/admin.crt",
            kubelet_client_key=f"{pki}/admin.key",
            kubelet_preferred_address_types="InternalIP",
        )

    def _start_containerd(self) -> None:
        (self.directory / "cni").mkdir()
        (self.directory / "cni" / "pods.conflist").write_text(NETWORK)
        (self.directory / "containerd.toml").write_text(CONTAINERD.format(directory=self.directory))
        self._run("containerd", ["containerd", f"--config={self.directory}/containerd.toml"])
        self._until(lambda: Path("/run/containerd.sock").exists(), "containerd listens")
        for image in IMAGES:
            self._ctr("images", "import", f"{self.directory}/{image}.tar")

    def _ctr(self, *arguments: str) -> None:
        command = ["ctr", "--address=/run/containerd.sock", "--namespace=k8s.io", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def _write(self, name: str, document: dict[str, object]) -> None:
        (self.directory / name).write_text(yaml.safe_dump(document))

    def _run(self, name: str, command: list[str]) -> None:
        self.process(name).start(command, os.environ)

    def _answers(self, url: str) -> bool:
        try:
            return requests.get(url, verify=f"{self.layout.pki}/ca.crt", timeout=5).ok
        except requests.RequestException:
            return False

    def _until(self, holds, what: str) -> None:
        def settled() -> bool:
            return holds() or any(not process.alive() for process in self.layout.processes())

        wait_until(settled, seconds=READY_SECONDS)
        assert holds(), f"not so: {what}\n{self.logs()}"

    def logs(self) -> str:
        """Return the end of each log."""
        processes = self.layout.processes()
        return "\n".join(f"== {process.name}\n{process.log_tail(8)}" for process in processes)
