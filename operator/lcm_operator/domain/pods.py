"""The pod of an engine: its manifest, and which fields of a user's template may go into it.

Called by `domain.scheduling` and `domain.lifecycle`; pure. Everything in the manifest passes Pod Security
`restricted`.
"""

from typing import Any

from lcm_operator.api import names
from lcm_operator.api.engine import TrialEngine

_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
_TERMINATION_LOG = "/dev/termination-log"
_TOKEN_SECONDS = 3600
_GRACE_SECONDS = 30
_NOBODY = 65532

_TEMPLATE = frozenset({"metadata", "spec"})
_METADATA = frozenset({"labels", "annotations"})
_SPEC = frozenset({"containers", "volumes", "imagePullSecrets", "nodeSelector", "affinity", "tolerations"})
_CONTAINER = frozenset(
    {
        "name", "image", "command", "args", "env", "resources", "securityContext", "volumeMounts",
        "livenessProbe", "readinessProbe", "startupProbe",
    }
)  # fmt: skip
_VOLUME_SOURCES = frozenset({"name", "emptyDir", "configMap", "secret"})
_FOREIGN = frozenset({"image", "command", "args"})


def refused_template_fields(template: dict[str, Any]) -> list[str]:
    """Return a sentence for each field of `engine.template` that an engine's pod can't have."""
    where = "spec.engine.template"
    faults = _unknown(template, _TEMPLATE, where)
    faults += _unknown(template.get("metadata", {}), _METADATA, f"{where}.metadata")
    faults += [
        f"{where}.metadata.labels: {label} is the operator's"
        for label in template.get("metadata", {}).get("labels", {})
        if label.partition("/")[0] == names.GROUP
    ]
    spec = template.get("spec", {})
    faults += _unknown(spec, _SPEC, f"{where}.spec")
    for index, volume in enumerate(spec.get("volumes", [])):
        faults += _unknown(volume, _VOLUME_SOURCES, f"{where}.spec.volumes[{index}]")
    for index, container in enumerate(spec.get("containers", [])):
        path = f"{where}.spec.containers[{index}]"
        faults += _unknown(container, _CONTAINER, path)
        if container.get("name") == names.ENGINE_CONTAINER:
            faults += [
                f"{path}.{field}: engines of other images are not supported yet"
                for field in sorted(_FOREIGN & container.keys())
            ]
    return faults


def _unknown(given: dict[str, Any], allowed: frozenset[str], where: str) -> list[str]:
    return [
        f"{where}.{field}: not allowed; allowed are {', '.join(sorted(allowed))}"
        for field in sorted(given.keys() - allowed)
    ]


def engine_pod(engine: TrialEngine, attempt: int, image: str) -> dict[str, Any]:
    """Return the manifest of the pod of one attempt. It acts only once it finds its UID in `podRef`."""
    template = engine.spec.engine.template
    metadata, spec = template.get("metadata", {}), template.get("spec", {})
    containers = list(spec.get("containers", []))
    own: dict[str, Any] = next((c for c in containers if c.get("name") == names.ENGINE_CONTAINER), {})
    others = [c for c in containers if c is not own]
    labels = metadata.get("labels", {}) | {
        names.LABEL_TRIAL: engine.metadata.name,
        names.LABEL_ATTEMPT: str(attempt),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": names.pod_name(engine.metadata.name, attempt),
            "namespace": engine.metadata.namespace,
            "labels": labels,
            "annotations": metadata.get("annotations", {}),
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": "TrialEngine",
                    "name": engine.metadata.name,
                    "uid": engine.metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {key: value for key, value in spec.items() if key != "containers"}
        | {
            "restartPolicy": "Never",
            "serviceAccountName": names.ENGINE_SERVICE_ACCOUNT,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _GRACE_SECONDS,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _NOBODY,
                "runAsGroup": _NOBODY,
                "fsGroup": _NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(engine, own, image), *others],
            "volumes": [*spec.get("volumes", []), *_volumes()],
        },
    }


def _container(engine: TrialEngine, own: dict[str, Any], image: str) -> dict[str, Any]:
    secrets = [
        {
            "name": f"LCM_PARAMETER_{index}",
            "valueFrom": {
                "secretKeyRef": {
                    "name": parameter.secret_key_ref.name,
                    "key": parameter.secret_key_ref.key,
                }
            },
        }
        for index, parameter in enumerate(engine.spec.parameters)
        if parameter.secret_key_ref is not None
    ]
    return own | {
        "name": names.ENGINE_CONTAINER,
        "image": image,
        "command": ["python", "-m", "lcm_operator.engine"],
        "env": [
            *own.get("env", []),
            *secrets,
            {"name": "LCM_TRIAL_ENGINE", "value": engine.metadata.name},
            {"name": "LCM_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "LCM_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
            {"name": "LCM_SERVICE_ACCOUNT_DIRECTORY", "value": _ACCOUNT_DIRECTORY},
            {"name": "LCM_TERMINATION_LOG", "value": _TERMINATION_LOG},
        ],
        "securityContext": own.get("securityContext", {})
        | {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": _TERMINATION_LOG,
        "volumeMounts": [
            *own.get("volumeMounts", []),
            {"name": "lcm-account", "mountPath": _ACCOUNT_DIRECTORY, "readOnly": True},
            {"name": "lcm-tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
        ],
    }


def _volumes() -> list[dict[str, Any]]:
    return [
        {"name": "lcm-tmp", "emptyDir": {}},
        {
            "name": "lcm-account",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token", "expirationSeconds": _TOKEN_SECONDS}},
                    {
                        "configMap": {
                            "name": "kube-root-ca.crt",
                            "items": [{"key": "ca.crt", "path": "ca.crt"}],
                        }
                    },
                    {
                        "downwardAPI": {
                            "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
                        }
                    },
                ]
            },
        },
    ]
