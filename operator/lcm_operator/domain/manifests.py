"""The manifests of an engine's pod and of the Lease that it renews. Pure.

What the operator sets passes Pod Security `restricted`. What a template may add: `domain.engine_template`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from lcm_operator.api import names
from lcm_operator.api.engine import TrialEngine

_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
_REST_TOKEN = "rest-token"  # noqa: S105 - a file's name
_FILES_DIRECTORY = "/var/run/lcm/files"
_TERMINATION_LOG = "/dev/termination-log"
_TEMPORARY = "/tmp"  # noqa: S108 - the container's own
_TOKEN_SECONDS = 3600
_GRACE_SECONDS = 30
_IDS = ("runAsUser", "runAsGroup", "fsGroup")
OWN_VOLUMES = frozenset({"lcm-account", "lcm-files", "lcm-tmp"})
OWN_MOUNTS = frozenset({_ACCOUNT_DIRECTORY, _FILES_DIRECTORY, _TEMPORARY})


def engine_lease(engine: TrialEngine, pod: str, uid: str, renewed: datetime | None = None) -> dict[str, Any]:
    """Return the manifest of the Lease that the engine in a pod renews; it goes with the pod.

    `renewed`: made again for an engine that has renewed an earlier one, so that it does not count as one that
    has never been heard of. It is no sign of life either: it is told from a renewal by its `acquireTime`,
    which is the same.
    """
    made = f"{renewed.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if renewed is not None else None
    times = {"acquireTime": made, "renewTime": made} if made is not None else {}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": pod,
            "namespace": engine.metadata.namespace,
            "labels": {names.LABEL_TRIAL: engine.metadata.name},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}],
        },
        "spec": {
            "holderIdentity": uid,
            "leaseDurationSeconds": engine.spec.engine.heartbeat_timeout_seconds,
            **times,
        },
    }


def engine_pod(
    engine: TrialEngine,
    attempt: int,
    image: str,
    variables: Iterable[tuple[str, str]] = (),
    user_id: int | None = None,
) -> dict[str, Any]:
    """Return the manifest of the pod of one attempt. It acts only once it finds its UID in `podRef`.

    `variables` are set in the engine's environment, and `user_id` is its user and group, unless its template
    sets them. Without `user_id` the platform chooses, or the image's own user counts.
    """
    template = engine.spec.engine.template
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    containers = spec.get("containers") or []
    own: dict[str, Any] = next((c for c in containers if c.get("name") == names.ENGINE_CONTAINER), {})
    others = [c for c in containers if c is not own]
    labels = (metadata.get("labels") or {}) | {
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
            "annotations": metadata.get("annotations") or {},
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": "TrialEngine",
                    "name": engine.metadata.name,
                    "uid": engine.metadata.uid,
                    "controller": True,
                    # A foreground deletion must leave the pod alone: it still has `finally` to run.
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {"enableServiceLinks": False, "terminationGracePeriodSeconds": _GRACE_SECONDS}
        | spec
        | {
            "restartPolicy": "Never",
            "serviceAccountName": names.ENGINE_SERVICE_ACCOUNT,
            "automountServiceAccountToken": False,
            "securityContext": {
                **(dict.fromkeys(_IDS, user_id) if user_id is not None else {}),
                "seccompProfile": {"type": "RuntimeDefault"},
                **(spec.get("securityContext") or {}),
                "runAsNonRoot": True,
            },
            "containers": [_container(engine, own, image, variables), *others],
            "volumes": [*(spec.get("volumes") or []), *_volumes(engine)],
        },
    }


def _container(
    engine: TrialEngine, own: dict[str, Any], image: str, variables: Iterable[tuple[str, str]]
) -> dict[str, Any]:
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
    files = engine.spec.config_map_files
    given = own.get("env") or []
    chosen = {entry.get("name") for entry in given}
    rest_token = [{"name": "LCM_REST_TOKEN_FILE", "value": f"{_ACCOUNT_DIRECTORY}/{_REST_TOKEN}"}]
    return own | {
        "name": names.ENGINE_CONTAINER,
        "image": image,
        "command": ["python", "-m", "lcm_operator.engine"],
        "env": [
            *given,
            *({"name": name, "value": value} for name, value in variables if name not in chosen),
            *secrets,
            *(rest_token if _shows_token(engine) else []),
            *([{"name": "LCM_FILES_DIRECTORY", "value": _FILES_DIRECTORY}] if files else []),
            {"name": "LCM_TRIAL_ENGINE", "value": engine.metadata.name},
            {"name": "LCM_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "LCM_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
            {"name": "LCM_SERVICE_ACCOUNT_DIRECTORY", "value": _ACCOUNT_DIRECTORY},
            {"name": "LCM_TERMINATION_LOG", "value": _TERMINATION_LOG},
        ],
        "securityContext": (own.get("securityContext") or {})
        | {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": _TERMINATION_LOG,
        "volumeMounts": [
            *(own.get("volumeMounts") or []),
            {"name": "lcm-account", "mountPath": _ACCOUNT_DIRECTORY, "readOnly": True},
            {"name": "lcm-tmp", "mountPath": _TEMPORARY},
            *([{"name": "lcm-files", "mountPath": _FILES_DIRECTORY, "readOnly": True}] if files else []),
        ],
    }


def _shows_token(engine: TrialEngine) -> bool:
    """Return whether a request of the plan goes to the REST sidecar: no other pod gets a token for it."""
    return any(each.http is not None and each.http.pod_token for each in engine.spec.all_activities)


def _volumes(engine: TrialEngine) -> list[dict[str, Any]]:
    rest_token = {
        "serviceAccountToken": {
            "path": _REST_TOKEN,
            "audience": names.REST_AUDIENCE,
            "expirationSeconds": _TOKEN_SECONDS,
        }
    }
    return [
        {"name": "lcm-tmp", "emptyDir": {}},
        {
            "name": "lcm-account",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token", "expirationSeconds": _TOKEN_SECONDS}},
                    *([rest_token] if _shows_token(engine) else []),
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
        *_files(engine),
    ]


def _files(engine: TrialEngine) -> list[dict[str, Any]]:
    """Return the volume with the files that programs get from ConfigMaps, as NAME/KEY."""
    keys: dict[str, list[str]] = {}
    for reference in sorted(engine.spec.config_map_files, key=lambda each: (each.name, each.key)):
        keys.setdefault(reference.name, []).append(reference.key)
    sources = [
        {"configMap": {"name": name, "items": [{"key": key, "path": f"{name}/{key}"} for key in listed]}}
        for name, listed in keys.items()
    ]
    return [{"name": "lcm-files", "projected": {"sources": sources}}] if sources else []
