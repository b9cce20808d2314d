"""What is mounted into a pod of the local node: files, shared folders, and a ServiceAccount's token."""

# ruff: noqa: S108 - mount paths of pods; they lie elsewhere in truth

import asyncio
import json

from devcluster.node.node import Settings, run
from devcluster.waiting import wait_until
from lcm_operator.kube.kubeconfig import from_kubeconfig

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def mounted(name, path, **source):
    return {
        "volumes": [{"name": name, **source}],
        "container": {"volumeMounts": [{"name": name, "mountPath": path}]},
    }


def test_volumes_of_files(node, pods, cluster):
    where = f"--namespace={pods.namespace}"
    cluster.kubectl("create", "configmap", "files", "--from-literal=a=1", "--from-literal=b=2", where)
    cluster.kubectl("create", "secret", "generic", "hidden", "--from-literal=password=xyz", where)
    pods.create(
        "reading",
        *(
            "sh",
            "-c",
            "cd /etc/all && grep -r . . | sort; cat /etc/one; stat -L -c %a /etc/all/secret/password",
        ),
        metadata={"annotations": {"b": "2", "a": 'one"'}},
        volumes=[
            {
                "name": "all",
                "projected": {
                    "sources": [
                        {"configMap": {"name": "files", "items": [{"key": "a", "path": "deep/er/a"}]}},
                        {
                            "secret": {
                                "name": "hidden",
                                "items": [_item("password", "secret/password", 0o400)],
                            }
                        },
                        {"configMap": {"name": "missing", "optional": True}},
                        {"downwardAPI": {"items": [_field("notes", "metadata.annotations")]}},
                    ]
                },
            },
            {"name": "files", "configMap": {"name": "files"}},
        ],
        container={
            "volumeMounts": [
                {"name": "all", "mountPath": "/etc/all"},
                {"name": "files", "mountPath": "/etc/one", "subPath": "b"},
            ]
        },
    )
    pods.wait_ended("reading")

    assert node.log_of(pods.namespace, "reading").splitlines() == [
        "./deep/er/a:1",
        './notes:a="one\\""',
        './notes:b="2"',
        "./secret/password:xyz",
        "2400",
    ]


def _item(key, path, mode):
    return {"key": key, "path": path, "mode": mode}


def _field(path, field):
    return {"path": path, "fieldRef": {"fieldPath": field}}


def test_an_empty_dir_is_shared_by_the_pods_containers_and_gone_after_it(node, pods):
    tmp = {"volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}
    writer = {"name": "writer", "image": "none", "command": ["sh", "-c", "pwd >/tmp/x"], **tmp}
    pod = pods.create(
        "sharing",
        *("python", "-c", "import tempfile; print(open('/tmp/x').read(), tempfile.gettempdir())"),
        volumes=[{"name": "tmp", "emptyDir": {}}],
        initContainers=[writer],
        container=tmp,
    )
    pods.wait_phase("sharing", "Succeeded")

    uid = pod["metadata"]["uid"]
    home, folder = node.log_of(pods.namespace, "sharing").split()
    assert home.endswith(f"{uid}/containers/writer/home")
    assert folder.endswith(f"{uid}/volumes/tmp")
    assert wait_until(lambda: not (node.root / "pods" / uid).exists(), seconds=10)


def test_pod_reaches_the_api_server_as_its_service_account_by_a_bound_token(node, pods):
    source = f"""
import asyncio, base64, json
from pathlib import Path
from lcm_operator.kube.access import in_cluster
from lcm_operator.kube.session import pooled
from lcm_operator.kube.errors import RejectedError
from lcm_operator.kube.resources import PODS
access = in_cluster(Path("{ACCOUNT}"))
async def main():
    async with pooled(access) as client:
        try:
            await client.list(PODS, access.namespace)
        except RejectedError as error:
            print(error.message)
asyncio.run(main())
part = access.token_file.read().split(".")[1]
print(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode())
"""
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 700}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [_field("namespace", "metadata.namespace")]}},
    ]
    pod = pods.create(
        "talking",
        *("python", "-c", source),
        serviceAccountName="lcm-engine",
        **mounted("account", ACCOUNT, projected={"sources": sources}),
    )
    pods.wait_phase("talking", "Succeeded")
    refusal, claims = node.log_of(pods.namespace, "talking").splitlines()

    assert f'User "system:serviceaccount:{pods.namespace}:lcm-engine" cannot list resource "pods"' in refusal
    token = json.loads(claims)
    assert token["kubernetes.io"]["pod"] == {"name": "talking", "uid": pod["metadata"]["uid"]}
    assert token["exp"] - token["iat"] == 700


def test_tokens_are_renewed_before_they_end(pods, cluster, node, tmp_path):
    """One in-process node that renews after a 600th of a token's life, in place of the other."""
    settings = Settings("local", tmp_path / "root", tmp_path / "logs", renew_after=1 / 600)
    source = f"""
import time
seen = set()
while len(seen) < 3:
    seen.add(open("{ACCOUNT}/token").read())
    time.sleep(0.05)
"""
    projected = {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 600}}]}

    async def scenario():
        task = asyncio.create_task(run(from_kubeconfig(cluster.kubeconfig), settings))
        pods.create("renewing", "python", "-c", source, **mounted("account", ACCOUNT, projected=projected))
        await asyncio.to_thread(pods.wait_phase, "renewing", "Succeeded")
        task.cancel()
        await asyncio.wait([task])

    node.end()
    try:
        asyncio.run(scenario())
    finally:
        node.start()
