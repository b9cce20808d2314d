"""The kinds that the product uses, and their URL paths."""

from msgspec import Struct

from lcm_operator.api.names import GROUP, VERSION


class Resource(Struct, frozen=True):
    """One kind: `api` is `v1` or `group/version`."""

    api: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Return the URL path of a collection (no `name`), an object or its subresource."""
        parts = ["/api" if "/" not in self.api else "/apis", self.api]
        if namespace is not None and self.namespaced:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


_LCM = f"{GROUP}/{VERSION}"
TRIALS = Resource(_LCM, "Trial", "trials")
TRIAL_ENGINES = Resource(_LCM, "TrialEngine", "trialengines")
TRIAL_PLANS = Resource(_LCM, "TrialPlan", "trialplans")
TRIAL_REGISTRIES = Resource(_LCM, "TrialRegistry", "trialregistries")
PODS = Resource("v1", "Pod", "pods")
EVENTS = Resource("v1", "Event", "events")
NODES = Resource("v1", "Node", "nodes", namespaced=False)
SECRETS = Resource("v1", "Secret", "secrets")
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
SERVICE_ACCOUNTS = Resource("v1", "ServiceAccount", "serviceaccounts")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")
TOKEN_REVIEWS = Resource("authentication.k8s.io/v1", "TokenReview", "tokenreviews", namespaced=False)
