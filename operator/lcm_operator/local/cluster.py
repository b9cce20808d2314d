"""One local cluster: bringing it up, taking it down, and what users and tests ask of it in between.

`make up`, `make run` and the tests use this one class; they differ in the components that they name. All
that it knows lies in its directory, so any process can go on where another one stopped. It prints nothing:
`progress` is told what is being done.

    nothing ── prepare ──> keys, kubeconfigs, ports ── launch, apply, await ──> ready
       ^                                                                          │
       └─────────────────────────────────── down ─────────────────────────────────┘
"""

import contextlib
import fcntl
import hashlib
import json
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcm_operator.local.certificates import make_certificates
from lcm_operator.local.components import API_SERVER, COMPONENTS, CONTROL_PLANE, CONTROLLER_MANAGER, NODE
from lcm_operator.local.failure import LocalClusterError
from lcm_operator.local.kubeconfig import certificate_user, write_kubeconfig
from lcm_operator.local.kubectl import Kubectl
from lcm_operator.local.layout import LOOPBACK, REPOSITORY, Layout, free_ports
from lcm_operator.local.waiting import wait_until

READY_SECONDS = 120


def _silent(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Cluster:
    """A cluster whose whole state lies below one directory."""

    directory: Path
    progress: Callable[[str], None] = _silent

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
        return self.layout.server

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
        self._write_token_kubeconfig(file, namespace, name)
        return file

    def audit(self) -> Iterator[dict[str, Any]]:
        """Go through the API server's audit events, oldest first."""
        with self.layout.audit_log.open() as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)

    def up(
        self, programs: Path, components: Sequence[str] = tuple(COMPONENTS), examples: Sequence[Path] = ()
    ) -> list[str]:
        """Start what of these components doesn't run, wait until all are ready; return what was started."""
        with self._alone():
            self._prepare(programs)
            dead = [name for name in components if not self.layout.process(name).alive()]
            for name in dead:
                if name in CONTROL_PLANE and name != CONTROLLER_MANAGER:
                    self._launch(name)
            self._await(API_SERVER)
            if CONTROLLER_MANAGER in dead:
                self._launch(CONTROLLER_MANAGER)
            self._apply(examples)
            for name in dead:
                if name not in CONTROL_PLANE:
                    self._launch(name)
            for name in components:
                self._await(name)
            return dead

    def start(self, component: str) -> None:
        """Start one component and wait until it is ready."""
        with self._alone():
            self._launch(component)
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
            return self.end()

    def end(self) -> bool:
        """Do as `down`, for who holds the lock already, or knows that nobody does."""
        was_there = self.layout.ports_file.exists() or any(p.alive() for p in self.layout.processes())
        for name, component in reversed(list(COMPONENTS.items())):
            process = self.layout.process(name)
            if process.alive():
                self.progress(f"stopping {name}")
            process.stop(grace=component.grace)
            component.clean_up(self.layout)
        for path in (self.layout.pki, self.layout.etcd_data, self.layout.run, self.layout.node):
            shutil.rmtree(path, ignore_errors=True)
        for file in (self.kubeconfig, self.layout.ports_file):
            file.unlink(missing_ok=True)
        return was_there

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else bring this cluster up or down meanwhile."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _prepare(self, programs: Path) -> None:
        """Make keys, ports and kubeconfigs, unless they are there; a half-made set is made anew."""
        layout = self.layout
        if not layout.ports_file.exists():
            self.end()
            shutil.rmtree(layout.log, ignore_errors=True)
            layout.log.mkdir()
            make_certificates(layout.pki)
            ports = free_ports()
            for file, client in (
                (self.kubeconfig, "admin"),
                (layout.service_kubeconfig(CONTROLLER_MANAGER), CONTROLLER_MANAGER),
                (layout.service_kubeconfig(NODE), NODE),
            ):
                write_kubeconfig(
                    file,
                    server=f"https://{LOOPBACK}:{ports[API_SERVER]}",
                    ca_file=self.ca_file,
                    user=certificate_user(layout.pki, client),
                )
            draft = layout.ports_file.with_suffix(".draft")
            draft.write_text(json.dumps(ports))
            draft.rename(layout.ports_file)
        layout.bin.mkdir(exist_ok=True)
        for program in programs.iterdir():
            link = layout.bin / program.name
            link.unlink(missing_ok=True)
            link.symlink_to(program)

    def _apply(self, examples: Sequence[Path]) -> None:
        """Apply CRDs and RBAC whenever they have changed, the examples once: they are the user's then."""
        crds = sorted((REPOSITORY / "deploy" / "crds").glob("*.yaml"))
        rbac = sorted((REPOSITORY / "deploy" / "rbac").glob("*.yaml"))
        files = [*crds, *rbac, Path(__file__).with_name("rbac.yaml")]
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
        stamp = self.layout.run / "applied"
        applied = stamp.read_text() if stamp.exists() else ""
        if applied == digest:
            return
        self.progress("applying CRDs and RBAC")
        self.kubectl.apply(files)
        if crds:
            names = [f"--filename={file}" for file in crds]
            self.kubectl("wait", "--for=condition=Established", f"--timeout={READY_SECONDS}s", *names)
        if examples and not applied:
            self.kubectl.apply(examples)
        stamp.write_text(digest)

    def _launch(self, name: str) -> None:
        component = COMPONENTS[name]
        self.progress(f"starting {name}")
        if component.service_account:
            self._write_token_kubeconfig(self.layout.service_kubeconfig(name), *component.service_account)
        self.layout.process(name).start(component.command(self.layout), component.environment(self.layout))

    def _await(self, name: str) -> None:
        component, process = COMPONENTS[name], self.layout.process(name)

        def settled() -> bool:
            return not process.alive() or component.ready(self.layout, self.kubectl)

        became = wait_until(settled, seconds=READY_SECONDS)
        if not process.alive():
            raise LocalClusterError(f"{name} has ended. {process.log_file} says:\n{process.log_tail()}")
        if not became:
            raise LocalClusterError(
                f"{name} is not ready after {READY_SECONDS} s. {process.log_file} says:\n{process.log_tail()}"
            )

    def _write_token_kubeconfig(self, file: Path, namespace: str, name: str) -> None:
        user = {"token": self.kubectl.token(namespace, name)}
        write_kubeconfig(file, server=self.server, ca_file=self.ca_file, user=user)
