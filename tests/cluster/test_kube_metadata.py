"""Lists of metadata only, and of large objects, on a real API server."""

import asyncio

from devcluster.cluster.cluster import Cluster
from lcm_operator.kube.kubeconfig import from_kubeconfig
from lcm_operator.kube.listing import LARGEST_PAGE, Pages
from lcm_operator.kube.resources import CONFIG_MAPS
from lcm_operator.kube.session import pooled


def test_a_list_of_metadata_holds_nothing_else(cluster: Cluster, namespace: str):
    async def listed():
        async with pooled(from_kubeconfig(cluster.kubeconfig)) as client:
            manifest = {"metadata": {"name": "big", "labels": {"a": "b"}}, "data": {"text": "x" * 1000}}
            await client.create(CONFIG_MAPS, namespace, manifest)
            pages = client.listed(CONFIG_MAPS, namespace, label_selector="a=b", metadata_only=True)
            return [await item.read() async for page in pages for item in page]

    (found,) = asyncio.run(listed())
    assert (found["metadata"]["name"], "data" in found) == ("big", False)


def test_pages_of_large_objects_are_kept_small(cluster: Cluster, namespace: str, monkeypatch):
    sizes = []
    monkeypatch.setattr(Pages, "took", lambda _, size: sizes.append(size))

    async def listed():
        async with pooled(from_kubeconfig(cluster.kubeconfig)) as client:
            for number in range(24):
                manifest = {"metadata": {"name": f"big-{number}"}, "data": {"text": "x" * 1_000_000}}
                await client.create(CONFIG_MAPS, namespace, manifest)
            return {each.head.name async for page in client.listed(CONFIG_MAPS, namespace) for each in page}

    assert len(asyncio.run(listed()) - {"kube-root-ca.crt"}) == 24
    assert len(sizes) > 1
    assert max(sizes) <= LARGEST_PAGE
