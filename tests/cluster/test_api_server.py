"""A real API server by the cases that the one in memory is made by (tests/unit/harness)."""

import asyncio

import pytest
from tests.harness.api_server_cases import CASES, Subject

from devcluster.cluster.cluster import Cluster
from lcm_operator.kube.kubeconfig import from_kubeconfig
from lcm_operator.kube.session import pooled


@pytest.mark.parametrize("case", CASES)
def test_real_api_server_does_as_the_one_in_memory(case, cluster: Cluster, namespace: str):
    async def settle(holds):
        async with asyncio.timeout(60):
            while not await holds():  # noqa: ASYNC110 - whatever the condition is made of
                await asyncio.sleep(0.1)

    async def run():
        async with pooled(from_kubeconfig(cluster.kubeconfig)) as client:
            await case(Subject(client, namespace, settle))

    asyncio.run(run())
