"""The REST sidecar and the dummies of outside services: how each is set up, and when it answers.

Called by `components`. It must not start anything: it only writes environments from a layout.
"""

import re
from collections.abc import Mapping

from devcluster.cluster.layout import LOOPBACK, REPOSITORY, Layout
from lcm_operator.rest.settings import DEFAULT_PLAN

REST = "rest"
REGISTRY = "registry"
PARTNERS = "partners"
# Where they listen by themselves, and what manifests in this repository name.
USUAL_PORTS = {REST: 5000, REGISTRY: 5001, PARTNERS: 5003}
DEMO_PLAN = "demo"
"""The plan of trials that are scheduled by REST, unless the caller chooses another one."""
SEED = REPOSITORY / "examples" / "registry.json"


def address(layout: Layout, name: str) -> str:
    """Return the host and port of a listener."""
    return f"{LOOPBACK}:{layout.ports[name]}"


def addressed(layout: Layout, manifest: str) -> str:
    """Return a manifest that names the services' usual ports with those that they have in this cluster."""
    moved = {f"{LOOPBACK}:{port}": address(layout, name) for name, port in USUAL_PORTS.items()}
    usual = "|".join(map(re.escape, moved))
    return re.sub(rf"(?:{usual})\b", lambda found: moved[found[0]], manifest)


def rest(layout: Layout) -> Mapping[str, str]:
    """Return the environment of the REST sidecar; what the caller has chosen comes on top."""
    return {
        "LCM_KUBECONFIG": str(layout.service_kubeconfig(REST)),
        "LCM_REST_ADDRESS": address(layout, REST),
        "LCM_METRICS_ADDRESS": address(layout, "rest-metrics"),
        "LCM_API_KEYS_FILE": str(layout.rest_keys),
        DEFAULT_PLAN: DEMO_PLAN,
        **(layout.state.rest if layout.state else {}),
    }


def registry(layout: Layout) -> Mapping[str, str]:
    """Return the environment of the dummy registry."""
    return {"LCM_REGISTRY_ADDRESS": address(layout, REGISTRY), "LCM_REGISTRY_SEED": str(SEED)}


def partners(layout: Layout) -> Mapping[str, str]:
    """Return the environment of the dummy partner services."""
    return {"LCM_PARTNERS_ADDRESS": address(layout, PARTNERS), "LCM_PARTNERS_SEED": str(SEED)}
