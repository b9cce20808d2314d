"""The cluster that a command works on, with pykube-ng: Trials, plans and registries of a namespace."""

import json
import os
import subprocess
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import pykube
import requests
from pykube.exceptions import HTTPError, PyKubeError
from pykube.http import KubernetesHTTPAdapter

from lcm_operator import trust
from lcm_operator.api.names import API_VERSION
from lcm_operator.kube.settings import API_SERVER_PROXY
from lcm_operator.proxies import Proxy, ProxyError

T = TypeVar("T")
Json = dict[str, Any]
_SECONDS = 30.0
_CONFLICT = 409
_IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class ClusterError(Exception):
    """The API server cannot be reached, or rejects a request; the text says why."""


class ExistsError(ClusterError):
    """An object of that name exists, or has changed since it was read."""


class Cluster:
    """One namespace. Raises ClusterError."""

    def __init__(self, context: str | None, namespace: str | None, kubeconfig: str | None = None) -> None:
        config = _answered(lambda: _config(context, kubeconfig))
        self.namespace = namespace or str(_answered(lambda: config.namespace))
        self._api = _answered(
            lambda: pykube.HTTPClient(config, timeout=_SECONDS, http_adapter=_Adapter(config))
        )
        self._api.session.trust_env = False  # HTTP_PROXY, HTTPS_PROXY and .netrc are for other servers
        if proxy := _answered(lambda: _proxy(config)):
            self._api.session.proxies = {"http": proxy, "https": proxy}

    def now(self) -> datetime:
        """Return the API server's time, which decides when trials start."""
        reply = self._asked("get", "trials?limit=1")
        return parsedate_to_datetime(reply.headers["Date"])

    def trials(self) -> list[Json]:
        """Return the Trials."""
        return list(self._asked("get", "trials").json()["items"])

    def registries(self) -> list[Json]:
        """Return the TrialRegistries."""
        return list(self._asked("get", "trialregistries").json()["items"])

    def has_plan(self, name: str) -> bool:
        """Return whether a TrialPlan exists."""
        plans = self._asked("get", "trialplans").json()["items"]
        return any(plan["metadata"]["name"] == name for plan in plans)

    def trial(self, name: str) -> Json:
        """Return a Trial."""
        return dict(self._asked("get", f"trials/{name}").json())

    def create(self, manifest: Json) -> None:
        """Create a Trial. Raises ExistsError if its name is taken."""
        self._asked("post", "trials", data=json.dumps(manifest))

    def resume(self, trial: Json) -> None:
        """Set `suspend` of a Trial to false. Raises ExistsError if it has changed since it was read."""
        version, name = trial["metadata"]["resourceVersion"], trial["metadata"]["name"]
        patch = {"metadata": {"resourceVersion": version}, "spec": {"suspend": False}}
        headers = {"Content-Type": "application/merge-patch+json"}
        self._asked("patch", f"trials/{name}", data=json.dumps(patch), headers=headers)

    def reply(
        self, verb: str, path: str, *, version: str = API_VERSION, namespace: str | None = None, **more: Any
    ) -> requests.Response:
        """Return the API server's reply to a request, whatever its status."""
        place = {"version": version, "namespace": namespace or self.namespace, "url": path}
        reply: requests.Response = _answered(lambda: getattr(self._api, verb)(**place, **more))
        return reply

    def _asked(self, verb: str, path: str, **more: Any) -> requests.Response:
        reply = self.reply(verb, path, **more)
        _answered(lambda: self._api.raise_for_status(reply))
        return reply


def _config(context: str | None, kubeconfig: str | None) -> pykube.KubeConfig:
    """Return the access of the kubeconfig, or in a pod without one, of its ServiceAccount."""
    path = Path(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
    if kubeconfig is None and context is None and not path.exists() and _IN_POD.exists():
        return pykube.KubeConfig.from_service_account()
    config = pykube.KubeConfig.from_file(str(path))
    if context is not None:
        if context not in config.contexts:
            raise PyKubeError(f"{path} has no context {context}")
        config.set_current_context(context)
    return config


class _Adapter(KubernetesHTTPAdapter):  # type: ignore[misc]
    """pykube's connections, with https verified as everywhere in the product."""

    def __init__(self, config: pykube.KubeConfig) -> None:
        self._tls: Json = {}
        super().__init__(config)
        cluster = config.cluster
        if not cluster.get("insecure-skip-tls-verify"):
            authority = cluster.get("certificate-authority")
            context = trust.client_context(cafile=Path(authority.filename()) if authority else None)
            self._tls = {"ssl_context": context}
            self.init_poolmanager(1, 1, **self._tls)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return connections through a proxy, verified at the API server."""
        return super().proxy_manager_for(proxy, **options, **self._tls)


def _proxy(config: pykube.KubeConfig) -> str:
    """Return the URL of the proxy for the API server, '' without one. Raises ProxyError."""
    given = {API_SERVER_PROXY: os.environ.get(API_SERVER_PROXY)}
    given["proxy-url of the kubeconfig"] = config.cluster.get("proxy-url")
    name, url = next(((name, url) for name, url in given.items() if url), ("", ""))
    if url:
        Proxy.parse(name, url)
    return url


def _answered(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except HTTPError as error:
        kind = ExistsError if error.code == _CONFLICT else ClusterError
        raise kind(str(error)) from error
    except (NotImplementedError, ImportError, subprocess.CalledProcessError) as error:
        hint = "give this command a kubeconfig with a token, for example from `kubectl create token`"
        raise ClusterError(f"the kubeconfig's login is not supported ({error}); {hint}") from error
    except (PyKubeError, ProxyError, requests.RequestException, OSError, KeyError) as error:
        raise ClusterError(str(error) or type(error).__name__) from error
