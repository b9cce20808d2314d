"""Where everything of one local cluster lies: the paths below its directory, and its ports.

Read by everybody in `local`; the file names under `.local` are a contract with users and tests. It must not
start or ask anything.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from devcluster.cluster.processes import Background
from devcluster.failure import LocalClusterError

REPOSITORY = Path(__file__).parents[2]
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class State:
    """What was settled when a cluster was made, and holds until it is taken down."""

    ports: dict[str, int]
    # The user's own kube context that takes the place of our control plane and node.
    context: str | None = None
    # The variables of the REST sidecar that the caller has chosen.
    rest: dict[str, str] = field(default_factory=dict)

    def for_storage(self) -> str:
        """Return it as it is kept in the state file."""
        return json.dumps(asdict(self), indent=2)


@dataclass(frozen=True)
class Layout:
    """The directory of one cluster."""

    directory: Path

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig."""
        return self.directory / "kubeconfig"

    @property
    def bin(self) -> Path:
        """Links to the programs, kubectl among them."""
        return self.directory / "bin"

    @property
    def log(self) -> Path:
        """The logs, one per process; kept after `down`."""
        return self.directory / "log"

    @property
    def run(self) -> Path:
        """The pid files, and the kubeconfigs of the processes."""
        return self.directory / "run"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.directory / "pki"

    @property
    def etcd_data(self) -> Path:
        """What the API server remembers."""
        return self.directory / "etcd"

    @property
    def node(self) -> Path:
        """What the local node keeps of its pods."""
        return self.directory / "node"

    @property
    def audit_log(self) -> Path:
        """Who asked the API server for what, and when."""
        return self.log / "audit.log"

    def service_kubeconfig(self, component: str) -> Path:
        """Return the file of the kubeconfig of one of our own processes."""
        return self.run / f"{component}.kubeconfig"

    @property
    def api_key(self) -> Path:
        """The key of the REST sidecar, for its callers."""
        return self.directory / "api-key"

    @property
    def rest_keys(self) -> Path:
        """The keys file of the REST sidecar, which knows only the key's hash."""
        return self.run / "rest.keys"

    @property
    def state_file(self) -> Path:
        """The ports; written last, so that its presence says that keys and kubeconfigs are complete."""
        return self.directory / "state.json"

    @property
    def state(self) -> State | None:
        """What was settled when this cluster was made; None if there is none."""
        try:
            return State(**json.loads(self.state_file.read_text()))
        except FileNotFoundError:
            return None

    @property
    def ports(self) -> dict[str, int]:
        """The port of each listener; the same as long as the data lives."""
        if not self.state:
            raise LocalClusterError(f"nothing is up in {self.directory}")
        return self.state.ports

    def process(self, name: str) -> Background:
        """Return the process of that name, running or not."""
        return Background(pid_file=self.run / f"{name}.pid", log_file=self.log / f"{name}.log")

    def processes(self) -> list[Background]:
        """Return every process that was ever started here and not stopped yet."""
        return [self.process(file.stem) for file in sorted(self.run.glob("*.pid"))]
