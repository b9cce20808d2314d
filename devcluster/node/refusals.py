"""What this node refuses to run, and why: a pod must never seem to have what it doesn't have.

Checked before anything of a pod is prepared. Pure. Fields that are accepted but not enforced are listed in
docs/local-node.md.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]

REASON = "LocalNodeCannotRun"
_VOLUMES = frozenset({"projected", "configMap", "secret", "emptyDir", "downwardAPI"})
_PROJECTIONS = frozenset({"serviceAccountToken", "configMap", "secret", "downwardAPI"})
_ENV_ORIGINS = frozenset({"fieldRef", "configMapKeyRef", "secretKeyRef"})
_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_POD_FIELDS = {
    "hostNetwork": "a pod has the network of this machine, but not as a privilege that can be granted",
    "hostPID": "a pod sees the processes of this machine, but not as a privilege that can be granted",
    "hostIPC": "there are no IPC namespaces",
    "hostAliases": "there is no /etc/hosts of a pod's own",
    "runtimeClassName": "there is no container runtime",
    "readinessGates": "readiness gates are not implemented",
    "resourceClaims": "there are no devices to claim",
}
_CONTAINER_FIELDS = {
    "startupProbe": "startup probes are not implemented",
    "lifecycle": "lifecycle hooks are not implemented",
    "volumeDevices": "there are no block devices",
    "stdin": "there is no attaching to containers",
    "tty": "there are no terminals",
    "restartPolicyRules": "containers are never restarted",
}


def refusals(pod: Json, node_labels: Mapping[str, str]) -> list[str]:
    """Return every reason why the pod can't run here; empty if it can, as far as its spec shows."""
    spec = pod["spec"]
    found = [*_of_pod(spec), *_of_placement(spec, node_labels)]
    for volume in spec.get("volumes", []):
        found += _of_volume(volume)
    for field, container in containers(spec):
        where = f"{field} {container['name']}"
        found += [f"{where}: {reason}" for reason in _of_container(container)]
    return found


def containers(spec: Json) -> Iterator[tuple[str, Json]]:
    """Return each container with the name of its field, init containers first."""
    for container in spec.get("initContainers", []):
        yield "init container", container
    for container in spec["containers"]:
        yield "container", container


def _of_pod(spec: Json) -> Iterator[str]:
    if spec.get("restartPolicy", "Always") != "Never":
        yield f"restartPolicy {spec.get('restartPolicy', 'Always')}: only Never is implemented"
    if spec.get("os", {}).get("name", "linux") != "linux":
        yield f"os {spec['os']['name']}: this is linux"
    if spec.get("securityContext", {}).get("sysctls"):
        yield "securityContext.sysctls: there are no namespaces to set them in"
    for field, reason in _POD_FIELDS.items():
        if spec.get(field):
            yield f"{field}: {reason}"


def _of_placement(spec: Json, node_labels: Mapping[str, str]) -> Iterator[str]:
    for key, value in spec.get("nodeSelector", {}).items():
        if node_labels.get(key) != value:
            yield f"nodeSelector {key}={value}: the labels of this node don't fit"
    for kind, affinity in spec.get("affinity", {}).items():
        if affinity.get("requiredDuringSchedulingIgnoredDuringExecution"):
            yield f"affinity.{kind}: required affinity is not implemented"


def _of_volume(volume: Json) -> Iterator[str]:
    name = volume["name"]
    for source in volume.keys() - _VOLUMES - {"name"}:
        yield f"volume {name}: {source} is not available here"
    for projection in volume.get("projected", {}).get("sources", []):
        for source in projection.keys() - _PROJECTIONS:
            yield f"volume {name}: {source} is not available here"
    listed = [volume, *volume.get("projected", {}).get("sources", [])]
    for source in listed:
        for item in source.get("downwardAPI", {}).get("items", []):
            if "resourceFieldRef" in item:
                yield f"volume {name}: resourceFieldRef is not implemented"


def _of_container(container: Json) -> Iterator[str]:
    if not container.get("command"):
        yield f"no command, and the image {container['image']} is not here: there are no images"
    if container.get("restartPolicy"):
        yield f"restartPolicy {container['restartPolicy']}: sidecars and restarts are not implemented yet"
    for field, reason in _CONTAINER_FIELDS.items():
        if container.get(field):
            yield f"{field}: {reason}"
    yield from _of_security(container.get("securityContext", {}))
    yield from _of_resources(container)
    for mount in container.get("volumeMounts", []):
        yield from _of_mount(mount)
    for entry in container.get("env", []):
        for origin in entry.get("valueFrom", {}).keys() - _ENV_ORIGINS:
            yield f"env {entry['name']}: {origin} is not implemented"


def _of_mount(mount: Json) -> Iterator[str]:
    path = mount["mountPath"]
    if not path.strip("/"):
        yield "mountPath /: the root can't be replaced"
    if mount.get("subPathExpr"):
        yield f"mountPath {path}: subPathExpr is not implemented"
    if mount.get("mountPropagation", "None") != "None":
        yield f"mountPath {path}: there are no mounts to propagate"


def _of_resources(container: Json) -> Iterator[str]:
    for port in container.get("ports", []):
        if port.get("hostPort", port["containerPort"]) != port["containerPort"]:
            yield f"hostPort {port['hostPort']}: ports are not mapped"
    resources = container.get("resources", {})
    for name in sorted((resources.get("requests", {}) | resources.get("limits", {})).keys() - _RESOURCES):
        yield f"resource {name}: this node has none"


def _of_security(context: Json) -> Iterator[str]:
    if context.get("privileged"):
        yield "privileged: there are no privileges to give"
    added = context.get("capabilities", {}).get("add", [])
    if added:
        yield f"capabilities {', '.join(added)}: there are no capabilities to give"
