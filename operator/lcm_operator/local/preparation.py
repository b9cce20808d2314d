"""What a cluster needs before its first process starts: keys, ports, kubeconfigs.

Called by `cluster` under its lock. The state file is written last: as long as it is missing, everything is
made anew.
"""

import shutil

from lcm_operator.local.certificates import make_certificates
from lcm_operator.local.components import API_SERVER, CONTROLLER_MANAGER, NODE
from lcm_operator.local.kubeconfig import certificate_user, copy_context, write_kubeconfig
from lcm_operator.local.layout import LOOPBACK, Layout, State, free_ports


def prepare(layout: Layout, context: str | None) -> None:
    """Make it all for a control plane of our own, or for a context of the user's."""
    shutil.rmtree(layout.log, ignore_errors=True)
    layout.log.mkdir()
    ports = free_ports()
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
                server=f"https://{LOOPBACK}:{ports[API_SERVER]}",
                ca_file=layout.pki / "ca.crt",
                user=certificate_user(layout.pki, client),
            )
    draft = layout.state_file.with_suffix(".draft")
    draft.write_text(State(ports, context).for_storage())
    draft.replace(layout.state_file)
