"""How a value of the chart is tested: what it is set to, what must then be in the render, and where.

The cases of a group are rendered at once. A place is `Kind/name:path`, in which `[x]` is the item of a list
by its name or its number; a value that is ABSENT must not be there.
"""

from dataclasses import dataclass, field
from typing import Any

ABSENT = object()
OPERATOR = "lcm-lcm-operator"
REST = f"{OPERATOR}-rest"
DIGEST = "sha256:" + "0a" * 32
POD = "spec.template.spec"
CA = {"key": "bundle.pem", "path": "bundle.pem"}
TOLERATIONS = [{"key": "edge", "operator": "Exists", "effect": "NoSchedule"}]
SPREAD = {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}
AFFINITY = {
    "nodeAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": {"matchExpressions": [{"key": "gpu", "operator": "DoesNotExist"}]}}
        ]
    }
}
SIDECAR = {
    "image": "agent:1",
    "resources": {
        "requests": {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "16Mi"},
        "limits": {"memory": "16Mi", "ephemeral-storage": "16Mi"},
    },
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
}
CERTIFICATES = {"name": "lcm-ca", "configMap": {"name": "ca-bundle", "items": [CA]}}
RESOURCES = {
    "requests": {"cpu": "300m", "memory": "300Mi", "ephemeral-storage": "64Mi"},
    "limits": {"memory": "2Gi", "ephemeral-storage": "256Mi"},
}


@dataclass(frozen=True)
class Case:
    """One value, and the place in the render that shows it."""

    value: str
    given: Any
    place: str
    expected: Any


@dataclass(frozen=True)
class Group:
    """Cases that are rendered together, with the values that they need."""

    cases: list[Case]
    needs: dict[str, Any] = field(default_factory=dict)


def case(value: str, given: Any, place: str, expected: Any = None) -> Case:
    """Return a case, which expects what is given unless something else is expected."""
    return Case(value, given, place, given if expected is None else expected)


def placement(prefix: str, pod: str) -> list[Case]:
    """Return the cases of what a pod has from the top level or from its component."""
    return [
        case(f"{prefix}priorityClassName", "system-cluster-critical", f"{pod}.priorityClassName"),
        case(f"{prefix}runtimeClassName", "gvisor", f"{pod}.runtimeClassName"),
        case(f"{prefix}nodeSelector", {"kubernetes.io/os": "linux"}, f"{pod}.nodeSelector"),
        case(f"{prefix}tolerations", TOLERATIONS, f"{pod}.tolerations"),
        case(f"{prefix}affinity", AFFINITY, f"{pod}.affinity"),
        case(f"{prefix}dnsPolicy", "Default", f"{pod}.dnsPolicy"),
        case(f"{prefix}dnsConfig", {"searches": ["lab.example"]}, f"{pod}.dnsConfig"),
        case(
            f"{prefix}hostAliases", [{"ip": "10.0.0.9", "hostnames": ["registry.lab"]}], f"{pod}.hostAliases"
        ),
    ]


def workload(component: str, name: str) -> list[Case]:
    """Return the cases of the values that operator and REST interface have alike."""
    deployment, container = f"Deployment/{name}", f"Deployment/{name}:{POD}.containers[{component}]"
    budget = f"{component}.podDisruptionBudget"
    return [
        *placement(f"{component}.", f"{deployment}:{POD}"),
        case(
            f"{component}.podAnnotations",
            {"mesh": "on"},
            f"{deployment}:spec.template.metadata.annotations[mesh]",
            "on",
        ),
        case(
            f"{component}.podLabels",
            {"tier": "one"},
            f"{deployment}:spec.template.metadata.labels[tier]",
            "one",
        ),
        case(
            f"{component}.podSecurityContext",
            {"supplementalGroups": [1000]},
            f"{deployment}:{POD}.securityContext.supplementalGroups",
            [1000],
        ),
        case(
            f"{component}.securityContext",
            {"readOnlyRootFilesystem": False},
            f"{container}.securityContext.readOnlyRootFilesystem",
            expected=False,
        ),
        case(
            f"{component}.terminationGracePeriodSeconds",
            45,
            f"{deployment}:{POD}.terminationGracePeriodSeconds",
        ),
        case(f"{component}.revisionHistoryLimit", 1, f"{deployment}:spec.revisionHistoryLimit"),
        case(f"{component}.strategy", {"type": "Recreate"}, f"{deployment}:spec.strategy"),
        case(
            f"{component}.topologySpreadConstraints",
            [SPREAD],
            f"{deployment}:{POD}.topologySpreadConstraints[0].whenUnsatisfiable",
            "DoNotSchedule",
        ),
        case(f"{budget}.maxUnavailable", "50%", f"PodDisruptionBudget/{name}:spec.maxUnavailable"),
        case(
            f"{component}.readinessProbe",
            {"periodSeconds": 7},
            f"{container}.readinessProbe.periodSeconds",
            7,
        ),
        case(
            f"{component}.livenessProbe",
            {"failureThreshold": 9},
            f"{container}.livenessProbe.failureThreshold",
            9,
        ),
        case(
            f"{component}.startupProbe",
            {"failureThreshold": 30},
            f"{container}.startupProbe.failureThreshold",
            30,
        ),
        case(
            f"{component}.extraEnv",
            [{"name": "LCM_LOG_LEVEL", "value": "ERROR"}],
            f"{container}.env[LCM_LOG_LEVEL].value",
            "ERROR",
        ),
        case(f"{component}.extraEnvFrom", [{"secretRef": {"name": "more"}}], f"{container}.envFrom"),
        case(
            f"{component}.extraVolumes",
            [{"name": "own", "emptyDir": {}}],
            f"{deployment}:{POD}.volumes[own].emptyDir",
            {},
        ),
        case(
            f"{component}.extraVolumeMounts",
            [{"name": "own", "mountPath": "/own"}],
            f"{container}.volumeMounts[own].mountPath",
            "/own",
        ),
        case(
            f"{component}.extraContainers",
            [SIDECAR | {"name": f"{component}-agent"}],
            f"{deployment}:{POD}.containers[{component}-agent].image",
            "agent:1",
        ),
        case(
            f"{component}.initContainers",
            [SIDECAR | {"name": f"{component}-init"}],
            f"{deployment}:{POD}.initContainers[{component}-init].image",
            "agent:1",
        ),
        case(f"{component}.resources", RESOURCES, f"{container}.resources"),
    ]


def account(component: str, name: str) -> list[Case]:
    """Return the cases of a ServiceAccount that the chart creates."""
    return [
        case(
            f"{component}.serviceAccount.annotations",
            {"role": "arn"},
            f"ServiceAccount/{name}:metadata.annotations[role]",
            "arn",
        ),
        case(
            f"{component}.serviceAccount.labels",
            {"use": "id"},
            f"ServiceAccount/{name}:metadata.labels[use]",
            "id",
        ),
    ]
