"""One local cluster: bringing it up, taking it down, and what users and tests ask of it in between.

`make up`, `make run` and the tests use this one class; they differ in the components that they name. All
that it knows lies in its directory, so any process can go on where another one stopped. It prints nothing:
`progress` receives a line for each step.

    nothing ── prepare ──> keys, kubeconfigs, ports ── launch, apply, await ──> ready
       ^                                                                          │
       └─────────────────────────────────── down ─────────────────────────────────┘
"""

import contextlib
import fcntl
import json
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.cluster import ports
from devcluster.cluster.components import API_SERVER, COMPONENTS, ETCD, STANDARD
from devcluster.cluster.kubeconfig import server_of, write_with_token
from devcluster.cluster.kubectl import Kubectl
from devcluster.cluster.layout import Layout
from devcluster.cluster.manifests import DEPLOY, apply_manifests
from devcluster.cluster.preparation import complete, prepare
from devcluster.cluster.services import REST
from devcluster.failure import LocalClusterError
from devcluster.waiting import wait_until

READY_SECONDS = 120
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


def _silent(_: str) -> None:
    """Ignore the message."""


@dataclass(frozen=True)
class Cluster:
    """A cluster whose whole state lies below one directory."""

    directory: Path
    progress: Callable[[str], None] = _silent
    # The folder of the manifests that it gets; a benchmark names that of another version.
    manifests: Path = DEPLOY

    @property
    def layout(self) -> Layout:
        """Where its parts lie."""
        return Layout(self.directory)

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig."""
        return self.layout.kubeconfig

    @property
    def server(self) -> str:
        """The API server's address."""
        return server_of(self.kubeconfig)

    @property
    def ca_file(self) -> Path:
        """The authority that issued the API server's certificate."""
        return self.layout.pki / "ca.crt"

    @property
    def bin_dir(self) -> Path:
        """The folder of the programs, kubectl among them."""
        return self.layout.bin

    @property
    def kubectl(self) -> Kubectl:
        """Kubectl as the admin."""
        return Kubectl(self.bin_dir / "kubectl", self.kubeconfig, cache=self.layout.run / "kubectl-cache")

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Return a kubeconfig with a fresh token of this ServiceAccount."""
        file = self.layout.service_kubeconfig(f"{namespace}.{name}")
        write_with_token(file, admin=self.kubeconfig, token=self.kubectl.token(namespace, name))
        return file

    def audit(self) -> Iterator[dict[str, Any]]:
        """Go through the API server's audit events, oldest first, but for those about what nests too deep."""
        with self.layout.audit_log.open() as lines:
            for line in lines:
                if line.endswith("\n"):
                    with contextlib.suppress(RecursionError):
                        yield json.loads(line)

    def up(
        self,
        programs: Path,
        components: Sequence[str] = STANDARD,
        *,
        examples: Sequence[Path] = (),
        context: str | None = None,
        wanted_ports: Mapping[str, int] = {},
        rest: Mapping[str, str] = {},
    ) -> list[str]:
        """Start those of these components that don't run, wait until all are ready; return the started ones.

        `context` names a kube context of the user's own, on which the components are to work; `rest` is what
        the caller chooses for the REST sidecar: one that runs otherwise is started again.
        """
        with self._alone():
            self._settle(programs, context, wanted_ports, rest)
            dead = [name for name in components if not self.layout.process(name).alive()]
            for name in ports.CONTRACT.keys() & dead:
                ports.check_free(name, self.layout.ports[name])
            self._launch(name for name in dead if name in {ETCD, API_SERVER})
            if not context:
                self._await(API_SERVER)
            # Before the controllers: the garbage collector looks for new kinds only every 30 s.
            apply_manifests(self.layout, self.kubectl, self.progress, self.manifests, examples=examples)
            self._launch(name for name in dead if name not in {ETCD, API_SERVER})
            for name in components:
                self._await(name)
            return dead

    def start(self, component: str) -> None:
        """Start one component and wait until it is ready."""
        with self._alone():
            self._launch([component])
            self._await(component)

    def stop(self, component: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Send one component a signal that ends it, and wait until it has ended."""
        process = self.layout.process(component)
        process.send(number)
        process.wait_ended(grace=COMPONENTS[component].grace)

    def down(self) -> bool:
        """End everything, pods included, and forget the data; the logs stay. False if there was nothing."""
        if not self.directory.exists():
            return False
        with self._alone():
            was_there = bool(self.layout.state)
            self._end()
            return was_there

    def _end(self) -> None:
        with contextlib.ExitStack() as ending:  # last started, first ended; one that fails keeps up no other
            for name, component in COMPONENTS.items():
                ending.callback(component.clean_up, self.layout)
                ending.callback(self._end_one, name)
        for path in (self.layout.pki, self.layout.etcd_data, self.layout.run, self.layout.node):
            if path.exists():
                shutil.rmtree(path)
        for file in (self.kubeconfig, self.layout.api_key, self.layout.state_file):
            file.unlink(missing_ok=True)

    def _end_one(self, name: str) -> None:
        process = self.layout.process(name)
        if process.alive():
            self.progress(f"stopping {name}")
        process.stop(grace=COMPONENTS[name].grace)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from bringing this cluster up or down meanwhile."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _settle(
        self, programs: Path, context: str | None, wanted: Mapping[str, int], rest: Mapping[str, str]
    ) -> None:
        state = self.layout.state
        if not state:
            self._end()  # what an interrupted preparation left
            prepare(self.layout, context, wanted, rest)
        elif state.context != context:
            there = f"your context {state.context}" if state.context else "a control plane of its own"
            raise LocalClusterError(f"{self.directory} is already up on {there}; run make down first")
        else:
            if {**state.rest, **rest} != state.rest:
                self._end_one(REST)
            complete(self.layout, state, wanted, rest)
        self.bin_dir.mkdir(exist_ok=True)
        for name in PROGRAMS:
            link, program = self.bin_dir / name, programs / name
            if program.exists() and not (link.exists() and link.samefile(program)):
                link.unlink(missing_ok=True)
                link.symlink_to(program)

    def _launch(self, names: Iterable[str]) -> None:
        for name in names:
            component, process = COMPONENTS[name], self.layout.process(name)
            self.progress(f"starting {name}")
            if component.service_account:
                token = self.kubectl.token(*component.service_account)
                file = self.layout.service_kubeconfig(name)
                write_with_token(file, admin=self.kubeconfig, token=token)
            process.start(component.command(self.layout), component.environment(self.layout))

    def _await(self, name: str) -> None:
        component, process = COMPONENTS[name], self.layout.process(name)

        def settled() -> bool:
            return not process.alive() or component.ready(self.layout, self.kubectl)

        became = wait_until(settled, seconds=READY_SECONDS)
        if not process.alive():
            raise LocalClusterError(f"{name} exited. End of {process.log_file}:\n{process.log_tail()}")
        if not became:
            log = f"{process.log_file}:\n{process.log_tail()}"
            raise LocalClusterError(f"{name} is not ready after {READY_SECONDS} s. End of {log}")
