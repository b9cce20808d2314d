"""The API server in memory by the cases that hold for a real one (tests/cluster/test_api_server.py)."""

import asyncio

import pytest
from tests.harness.api_server import ApiServer
from tests.harness.api_server_cases import CASES, Subject
from tests.harness.client import Connection


@pytest.mark.parametrize("case", CASES)
def test_api_server_in_memory_does_as_the_real_one(case):
    server = ApiServer()
    server.compact()
    connection = Connection(server)
    connection.seconds_of_a_watch = 0.01

    async def settle(holds):
        while not await holds():
            assert server.collect_garbage()

    async def run():
        server.put("configmaps", {"metadata": {"name": "kube-root-ca.crt"}})
        server.put("configmaps", {"metadata": {"name": "elsewhere"}}, "default")
        server.compact()
        await case(Subject(connection.client(), "lab", settle))

    asyncio.run(run())
