"""Which fields a template of an engine's pod may have: those of a pod within Pod Security `restricted`. Pure.

The CRD leaves templates open, so that a refusal can name all fields and nothing is dropped in silence: what
is not listed here is refused. The operator creates the pods, so a template must allow no more than the right
to create pods within `restricted` does. The API server has the last word in the dry run at arming.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from lcm_operator.api import names
from lcm_operator.api.bounds import unread_because
from lcm_operator.api.similar import nearest
from lcm_operator.domain.manifests import OWN_MOUNTS, OWN_VOLUMES
from lcm_operator.plan.faults import Fault, Place

TEMPLATE_PLACE: Place = ("spec", "engine", "template")
_Rule = Callable[[Any, Place], Iterator[Fault]]
_COMPONENT = "app.kubernetes.io/component"
_OPERATORS = ("operator", "rest", "pre-delete", "test")
_GRACE_SECONDS = range(5, 601)
_QUANTITY = re.compile(
    r"[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?"
)  # fmt: skip
_OTHER_IMAGE = "engines of other images are not supported yet"
_ALLOWED = "; allowed fields: "
_HINTS = {
    "initContainers": "init containers are not supported",
    "serviceAccountName": f"engine pods run as the ServiceAccount {names.ENGINE_SERVICE_ACCOUNT}",
    "restartPolicy": "engine pods are never restarted, restores begin a new one",
    "activeDeadlineSeconds": "set spec.engine.activeDeadlineSeconds",
}


def template_faults(template: Any, where: Place = TEMPLATE_PLACE) -> list[Fault]:
    """Return a validation error for each field of a template that an engine's pod can't have.

    The allowed fields are listed if there is only one error: otherwise the lists would displace the errors.
    """
    if why := unread_because(template):
        return [Fault(where, why)]
    faults = list(dict.fromkeys(_TEMPLATE(template, where)))
    if len(faults) == 1:
        return faults
    return [Fault(fault.place, fault.message.partition(_ALLOWED)[0]) for fault in faults]


def default_faults(template: Any) -> list[Fault]:
    """Return the validation errors of the operator's default template, which has to be complete."""
    faults = template_faults(template, ())
    if faults:
        return faults
    spec = template.get("spec") or {}
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    return [
        Fault(("spec", "containers", index, "volumeMounts", number, "name"), "must name one of volumes")
        for index, container in enumerate(spec.get("containers") or ())
        for number, mount in enumerate(container.get("volumeMounts") or ())
        if mount["name"] not in volumes
    ]


def _any(_value: Any, _where: Place) -> Iterator[Fault]:
    yield from ()


def _object(value: Any, where: Place) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(where, "must be an object")


def _list(value: Any, where: Place) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield Fault(where, "must be a list")


def _text(value: Any, where: Place) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield Fault(where, "must be text; put it in quotes")


def _texts(value: Any, where: Place) -> Iterator[Fault]:
    yield from _object(value, where)
    for key, text in value.items() if isinstance(value, dict) else ():
        if text is not None:
            yield from _text(text, (*where, key))


def _quantities(value: Any, where: Place) -> Iterator[Fault]:
    yield from _object(value, where)
    for key, given in value.items() if isinstance(value, dict) else ():
        number = isinstance(given, int | float) and not isinstance(given, bool)
        if given is not None and not number and not (isinstance(given, str) and _QUANTITY.fullmatch(given)):
            yield Fault((*where, key), "must be a quantity such as 500m or 128Mi")


def _only(*allowed: Any) -> _Rule:
    def check(value: Any, where: Place) -> Iterator[Fault]:
        if not any(value is each or (value == each and type(value) is type(each)) for each in allowed):
            shown = (str(each).lower() if isinstance(each, bool) else each for each in allowed)
            yield Fault(where, f"must be {' or '.join(filter(None, shown))}")

    return check


def _number(lowest: int, highest: int = 2**31 - 1) -> _Rule:
    def check(value: Any, where: Place) -> Iterator[Fault]:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            yield Fault(where, f"must be a number from {lowest} to {highest}")

    return check


def _refused(why: str) -> _Rule:
    def check(_value: Any, where: Place) -> Iterator[Fault]:
        yield Fault(where, why)

    return check


def _fields(required: tuple[str, ...] = (), /, **rules: _Rule) -> _Rule:
    """Return the rule of an object with these fields, of which null counts as not set."""

    def check(value: Any, where: Place) -> Iterator[Fault]:
        if not isinstance(value, dict):
            yield Fault(where, "must be an object")
            return
        for field in sorted(value.keys() - rules.keys(), key=str):
            yield Fault((*where, field), _not_allowed(str(field), rules))
        for field in required:
            if value.get(field) in (None, ""):
                yield Fault((*where, field), "is required")
        for field, rule in rules.items():
            if value.get(field) is not None:
                yield from rule(value[field], (*where, field))

    return check


def _not_allowed(field: str, rules: dict[str, _Rule]) -> str:
    hint = _HINTS.get(field, "")
    if not hint and (similar := nearest(field, rules)):
        hint = f"did you mean {similar}?"
    return f"not allowed{': ' if hint else ''}{hint}{_ALLOWED}{', '.join(sorted(rules))}"


def _each(rule: _Rule) -> _Rule:
    def check(value: Any, where: Place) -> Iterator[Fault]:
        if not isinstance(value, list):
            yield Fault(where, "must be a list")
            return
        for index, item in enumerate(value):
            yield from rule(item, (*where, index))

    return check


def _labels(value: Any, where: Place) -> Iterator[Fault]:
    yield from _annotations(value, where, "label")
    if isinstance(value, dict) and value.get(_COMPONENT) in _OPERATORS:
        # Each selector of the chart contains it, whatever the release and the chart are called.
        why = "is for the operator's own pods: their Services and policies would select the engine"
        yield Fault((*where, _COMPONENT), f"{value[_COMPONENT]!r} {why}; choose another value")


def _annotations(value: Any, where: Place, kind: str = "annotation") -> Iterator[Fault]:
    yield from _texts(value, where)
    for key in value if isinstance(value, dict) else ():
        if str(key).partition("/")[0] == names.GROUP:
            yield Fault(where, f"{kind} {key} is reserved for the operator")


def _containers(value: Any, where: Place) -> Iterator[Fault]:
    yield from _each(_container)(value, where)
    listed = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    if listed and names.ENGINE_CONTAINER not in [item.get("name") for item in value]:
        yield Fault(where, f"must contain one named {names.ENGINE_CONTAINER}")


def _container(value: Any, where: Place) -> Iterator[Fault]:
    own = isinstance(value, dict) and value.get("name") == names.ENGINE_CONTAINER
    yield from (_ENGINE if own else _SIDECAR)(value, where)


def _volume(value: Any, where: Place) -> Iterator[Fault]:
    yield from _VOLUME(value, where)
    if isinstance(value, dict) and value.get("name") in OWN_VOLUMES:
        yield Fault((*where, "name"), f"{value['name']} is a volume of the operator; choose another name")


def _engine_mount(value: Any, where: Place) -> Iterator[Fault]:
    yield from _MOUNT(value, where)
    path = value.get("mountPath") if isinstance(value, dict) else None
    if isinstance(path, str) and path.rstrip("/") in OWN_MOUNTS:
        yield Fault((*where, "mountPath"), f"{path} is mounted by the operator; choose another path")


def _token(value: Any, where: Place) -> Iterator[Fault]:
    """Check a ServiceAccount's token: for others than the API server and the REST interface only."""
    yield from _fields(("audience", "path"), audience=_text, expirationSeconds=_number(600), path=_text)(
        value, where
    )
    if isinstance(value, dict) and value.get("audience") == names.REST_AUDIENCE:
        yield Fault((*where, "audience"), "is reserved for the operator; use podToken in the plan")


_PROFILE = _fields(("type",), type=_only("RuntimeDefault", "Localhost"), localhostProfile=_text)
_SELINUX = _fields(
    level=_text, type=_only("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
)
_SECURITY: dict[str, _Rule] = {
    "appArmorProfile": _PROFILE,
    "runAsGroup": _number(0),
    "runAsNonRoot": _only(True),
    "runAsUser": _number(1),
    "seLinuxOptions": _SELINUX,
    "seccompProfile": _PROFILE,
}
_POD_SECURITY = _fields(
    **_SECURITY,
    fsGroup=_number(0),
    fsGroupChangePolicy=_only("OnRootMismatch", "Always"),
    supplementalGroups=_each(_number(0)),
    supplementalGroupsPolicy=_only("Merge", "Strict"),
)
_CONTAINER_SECURITY = _fields(
    **_SECURITY,
    allowPrivilegeEscalation=_only(False),
    capabilities=_fields(add=_each(_only("NET_BIND_SERVICE")), drop=_each(_text)),
    privileged=_only(False),
    procMount=_only("Default"),
    readOnlyRootFilesystem=_only(True, False),
)
_KEY_REF = _fields(("key",), key=_text, name=_text, optional=_only(True, False))
_SOURCE_REF = _fields(("name",), name=_text, optional=_only(True, False))
_MOUNT = _fields(
    ("name", "mountPath"),
    name=_text,
    mountPath=_text,
    readOnly=_only(True, False),
    recursiveReadOnly=_text,
    subPath=_text,
    subPathExpr=_text,
)
_COMMON: dict[str, _Rule] = {
    "name": _text,
    "env": _each(
        _fields(
            ("name",),
            name=_text,
            value=_text,
            valueFrom=_fields(
                configMapKeyRef=_KEY_REF, fieldRef=_object, resourceFieldRef=_object, secretKeyRef=_KEY_REF
            ),
        )
    ),
    "envFrom": _each(_fields(configMapRef=_SOURCE_REF, prefix=_text, secretRef=_SOURCE_REF)),
    "imagePullPolicy": _only("Always", "IfNotPresent", "Never"),
    "livenessProbe": _object,
    "readinessProbe": _object,
    "resources": _fields(limits=_quantities, requests=_quantities),
    "securityContext": _CONTAINER_SECURITY,
    "startupProbe": _object,
}
_ENGINE = _fields(
    ("name",),
    **_COMMON,
    volumeMounts=_each(_engine_mount),
    args=_refused(_OTHER_IMAGE),
    command=_refused(_OTHER_IMAGE),
    image=_refused(_OTHER_IMAGE),
)
_SIDECAR = _fields(
    ("name",), **_COMMON, volumeMounts=_each(_MOUNT), args=_list, command=_list, image=_text, workingDir=_text
)
_PROJECTED = _fields(
    defaultMode=_number(0, 0o777),
    sources=_each(
        _fields(
            clusterTrustBundle=_object,
            configMap=_object,
            downwardAPI=_object,
            secret=_object,
            serviceAccountToken=_token,
        )
    ),
)
_VOLUME = _fields(
    ("name",),
    name=_text,
    configMap=_object,
    csi=_object,
    downwardAPI=_object,
    emptyDir=_object,
    ephemeral=_object,
    persistentVolumeClaim=_object,
    projected=_PROJECTED,
    secret=_object,
)
_TOLERATION = _fields(
    effect=_text, key=_text, operator=_text, tolerationSeconds=_number(-(2**31)), value=_text
)
_SPEC = _fields(
    affinity=_fields(nodeAffinity=_object, podAffinity=_object, podAntiAffinity=_object),
    dnsConfig=_fields(
        nameservers=_each(_text),
        options=_each(_fields(("name",), name=_text, value=_text)),
        searches=_each(_text),
    ),
    dnsPolicy=_only("ClusterFirst", "Default", "None"),
    enableServiceLinks=_only(True, False),
    hostAliases=_each(_fields(("ip",), ip=_text, hostnames=_each(_text))),
    imagePullSecrets=_each(_fields(("name",), name=_text)),
    nodeSelector=_texts,
    priorityClassName=_text,
    runtimeClassName=_text,
    schedulerName=_text,
    securityContext=_POD_SECURITY,
    terminationGracePeriodSeconds=_number(_GRACE_SECONDS[0], _GRACE_SECONDS[-1]),
    tolerations=_each(_TOLERATION),
    topologySpreadConstraints=_each(_object),
    volumes=_each(_volume),
    containers=_containers,
)
_TEMPLATE = _fields(metadata=_fields(annotations=_annotations, labels=_labels), spec=_SPEC)
