"""What a cluster needs before its first process starts: keys, ports, kubeconfigs.

Called by `cluster` under its lock. The state file is written last: as long as it is missing, everything is
made anew.
"""

import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from devcluster.cluster import ports
from devcluster.cluster.certificates import make_certificates
from devcluster.cluster.components import API_SERVER, CONTROLLER_MANAGER, NODE
from devcluster.cluster.kubeconfig import certificate_user, copy_context, write_kubeconfig
from devcluster.cluster.layout import LOOPBACK, Layout, State
from lcm_operator.rest.auth.keys import KeyScope, line_of


def prepare(layout: Layout, context: str | None, wanted: Mapping[str, int], rest: Mapping[str, str]) -> None:
    """Make it all for a control plane of our own, or for a context of the user's."""
    state = State(ports.settle({}, wanted), context, dict(rest))
    shutil.rmtree(layout.log, ignore_errors=True)
    layout.log.mkdir()
    if context:
        copy_context(layout.kubeconfig, context)
    else:
        make_certificates(layout.pki)
        for file, client in (
            (layout.kubeconfig, "admin"),
            (layout.service_kubeconfig(CONTROLLER_MANAGER), CONTROLLER_MANAGER),
            (layout.service_kubeconfig(NODE), NODE),
        ):
            write_kubeconfig(
                file,
                server=f"https://{LOOPBACK}:{state.ports[API_SERVER]}",
                ca_file=layout.pki / "ca.crt",
                user=certificate_user(layout.pki, client),
            )
        _make_api_key(layout)
    _keep(layout, state)


def complete(layout: Layout, state: State, wanted: Mapping[str, int], rest: Mapping[str, str]) -> None:
    """Add what is requested now, and files that the version that made this cluster did not know."""
    if not state.context and not layout.rest_keys.exists():
        _make_api_key(layout)
    completed = replace(state, ports=ports.settle(state.ports, wanted), rest={**state.rest, **rest})
    if completed != state:
        _keep(layout, completed)


def _make_api_key(layout: Layout) -> None:
    """Make the key of the REST sidecar; without a line's end, which some would send along."""
    key = secrets.token_urlsafe(32)
    _write_private(layout.api_key, key)
    _write_private(layout.rest_keys, line_of(key, KeyScope.OPERATE, "local") + "\n")


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


def _keep(layout: Layout, state: State) -> None:
    draft = layout.state_file.with_suffix(".draft")
    draft.write_text(state.for_storage())
    draft.replace(layout.state_file)
