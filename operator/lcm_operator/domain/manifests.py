"""The manifests of an engine's pod and of the Lease that it renews; what a user's template may add. Pure.

Everything in the pod passes Pod Security `restricted`. The CRD leaves the template open, so that a refusal
can name the field and nothing is dropped in silence: an allow list says which fields may go into the pod.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from lcm_operator.api import names
from lcm_operator.api.bounds import unread_because
from lcm_operator.api.engine import TrialEngine
from lcm_operator.plan.validation import Fault, Place

_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
_REST_TOKEN = "rest-token"  # noqa: S105 - a file's name
_FILES_DIRECTORY = "/var/run/lcm/files"
_TERMINATION_LOG = "/dev/termination-log"
_TOKEN_SECONDS = 3600
_GRACE_SECONDS = 30
_NOBODY = 65532


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
    engine: TrialEngine, attempt: int, image: str, variables: Iterable[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Return the manifest of the pod of one attempt. It acts only once it finds its UID in `podRef`.

    `variables` are set in the engine's environment, unless its template sets them.
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
            {"name": "lcm-tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
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


_TEMPLATE = frozenset({"metadata", "spec"})
_METADATA = frozenset({"labels", "annotations"})
_SPEC = frozenset({"containers", "volumes", "imagePullSecrets", "nodeSelector", "affinity", "tolerations"})
_CONTAINER = frozenset(
    {
        "name", "image", "command", "args", "env", "resources", "securityContext", "volumeMounts",
        "livenessProbe", "readinessProbe", "startupProbe",
    }
)  # fmt: skip
_VOLUME = frozenset({"name", "emptyDir", "configMap", "secret"})
_FOREIGN = ("args", "command", "image")
_LISTS = frozenset(
    {"containers", "volumes", "imagePullSecrets", "tolerations", "env", "volumeMounts", "args"}
)


def refused_template_fields(template: dict[str, Any]) -> list[Fault]:
    """Return a validation error for each field of `spec.engine.template` that an engine's pod can't have."""
    where: Place = ("spec", "engine", "template")
    if why := unread_because(template):
        return [Fault(where, why)]
    faults = _check(template, _TEMPLATE, where)
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    faults += _check(metadata, _METADATA, (*where, "metadata"))
    if isinstance(metadata, dict):
        faults += _labels(metadata.get("labels") or {}, (*where, "metadata", "labels"))
    faults += _check(spec, _SPEC, (*where, "spec"))
    for index, volume in enumerate(_items(spec, "volumes")):
        faults += _check(volume, _VOLUME, (*where, "spec", "volumes", index))
    for index, container in enumerate(_items(spec, "containers")):
        place: Place = (*where, "spec", "containers", index)
        faults += _check(container, _CONTAINER, place)
        if isinstance(container, dict) and container.get("name") == names.ENGINE_CONTAINER:
            faults += [
                Fault((*place, field), "engines of other images are not supported yet")
                for field in _FOREIGN
                if container.get(field) is not None
            ]
    return list(dict.fromkeys(faults))


def _items(spec: object, field: str) -> list[object]:
    """Return the items of a list; none of anything else, which is a fault of its own."""
    found = spec.get(field) if isinstance(spec, dict) else None
    return found if isinstance(found, list) else []


def _check(given: object, allowed: frozenset[str], where: Place) -> list[Fault]:
    """Return what is wrong with an object: not one, fields that are not allowed, lists that are none."""
    if not isinstance(given, dict):
        return [Fault(where, "must be an object")]
    faults = [
        Fault((*where, field), f"not allowed; allowed fields: {', '.join(sorted(allowed))}")
        for field in sorted(given.keys() - allowed)
    ]
    for field in sorted(given.keys() & allowed):
        wanted = list if field in _LISTS else dict
        plain = field in ("name", "image", "command")
        if given[field] is not None and not plain and not isinstance(given[field], wanted):
            faults.append(Fault((*where, field), f"must be {'a list' if wanted is list else 'an object'}"))
    return faults


def _labels(labels: object, where: Place) -> list[Fault]:
    if not isinstance(labels, dict):
        return []
    return [
        Fault(where, f"label {label} is reserved for the operator")
        for label in labels
        if label.partition("/")[0] == names.GROUP
    ]
