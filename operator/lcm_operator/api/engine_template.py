"""How pod templates of engines are merged: the operator's default, then the plan's, then the Trial's. Pure.

Objects are merged by key, and null removes a key. Lists are merged by what identifies their items; an item of
the stronger template replaces that of the weaker one as a whole, except the container `engine`, which is
merged field by field. All other values are replaced. The weaker template must not cause a pod to be rejected
that would be admitted without it: see `_resources`.
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from lcm_operator.api import names

Template = dict[str, Any]
_Merge = Callable[[Any, Any], Any]


def merged(*templates: Template) -> Template:
    """Return the merged template; a later one takes precedence. The templates must have passed the check."""
    found: Template = {}
    for template in templates:
        found = _TEMPLATE(found, template)
    return found


def _objects(rules: dict[str, _Merge], weak: Any, strong: Any) -> Any:
    """Merge two objects by key; `rules` has the keys whose values are merged, all others are replaced."""
    found = {key: value for key, value in (weak or {}).items() if key not in strong}
    for key, value in strong.items():
        if value is not None:
            found[key] = rules[key]((weak or {}).get(key), value) if key in rules else value
    return found


def _items(identity: Callable[[Any], Hashable], weak: Any, strong: Any) -> Any:
    """Merge two lists of which items of the same identity replace one another."""
    taken = {identity(item) for item in strong}
    return [*(item for item in weak or () if identity(item) not in taken), *strong]


def _named(item: Any) -> Hashable:
    return str(item.get("name"))


def _mount_path(item: Any) -> Hashable:
    return str(item.get("mountPath")).rstrip("/")


def _itself(item: Any) -> Hashable:
    return repr(sorted(item.items()))


def _containers(weak: Any, strong: Any) -> Any:
    before = {_named(item): item for item in weak or ()}
    engine = names.ENGINE_CONTAINER
    own = [
        _CONTAINER(before.get(engine), item) if _named(item) == engine else _CONTAINER(None, item)
        for item in strong
    ]
    return _items(_named, weak, own)


def _resources(weak: Any, strong: Any) -> Any:
    """Merge requests and limits together, resource by resource: a lone default could contradict the other."""
    chosen = {name for part in strong.values() if isinstance(part, dict) for name in part}
    rest = {
        field: {name: value for name, value in part.items() if name not in chosen}
        for field, part in (weak or {}).items()
    }
    found = _objects({"requests": _BY_KEY, "limits": _BY_KEY}, rest, strong)
    return {field: part for field, part in found.items() if part}


def _by(identity: Callable[[Any], Hashable]) -> _Merge:
    return partial(_items, identity)


def _fields(**rules: _Merge) -> _Merge:
    return partial(_objects, rules)


_BY_KEY = _fields()
_CONTAINER = _fields(
    env=_by(_named),
    envFrom=_by(_itself),
    resources=_resources,
    securityContext=_BY_KEY,
    volumeMounts=_by(_mount_path),
)
_SPEC = _fields(
    affinity=_BY_KEY,
    containers=_containers,
    dnsConfig=_fields(options=_by(_named)),
    hostAliases=_by(lambda item: str(item.get("ip"))),
    imagePullSecrets=_by(_named),
    nodeSelector=_BY_KEY,
    securityContext=_BY_KEY,
    tolerations=_by(_itself),
    topologySpreadConstraints=_by(lambda item: (item.get("topologyKey"), item.get("whenUnsatisfiable"))),
    volumes=_by(_named),
)
_TEMPLATE = _fields(metadata=_fields(labels=_BY_KEY, annotations=_BY_KEY), spec=_SPEC)
