"""Lists of which only the metadata is asked for, on a real API server."""

import asyncio

from devcluster.cluster.cluster import Cluster
from lcm_operator.kube.kubeconfig import from_kubeconfig
from lcm_operator.kube.resources import CONFIG_MAPS
from lcm_operator.kube.session import pooled


def test_a_list_of_metadata_holds_nothing_else(cluster: Cluster, namespace: str):
    async def listed():
        async with pooled(from_kubeconfig(cluster.kubeconfig)) as client:
            manifest = {"metadata": {"name": "big", "labels": {"a": "b"}}, "data": {"text": "x" * 1000}}
            await client.create(CONFIG_MAPS, namespace, manifest)
            pages = client.pages(CONFIG_MAPS, namespace, label_selector="a=b", metadata_only=True)
            return [item async for page, _ in pages for item in page]

    (found,) = asyncio.run(listed())
    assert (found["metadata"]["name"], "data" in found) == ("big", False)
