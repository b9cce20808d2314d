"""Connections that are kept, and those that are not."""

import asyncio

import pytest
from tests.harness.waiting import until
from tests.unit.wire.servers import received, serving, serving_on
from tests.unit.wire.test_connection import OK, reply_to

from lcm_operator.wire.errors import WireError
from lcm_operator.wire.pool import Pool

MANY = serving_on(*[OK] * 9)


def with_pool(work, script=MANY, **settings):
    """Do `work(pool, ask, accepted)` with a pool to a server that runs `script`."""

    async def scenario():
        async with serving(script) as (origin, accepted):
            pool = Pool(origin, None, **({"most": 2, "quiet_seconds": 60} | settings))

            async def ask():
                async with pool.lend() as connection:
                    return await reply_to(connection, origin)

            try:
                await work(pool, ask, accepted)
            finally:
                await pool.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_requests_one_after_the_other_share_a_connection():
    async def work(_pool, ask, accepted):
        for _ in range(5):
            assert await ask() == (200, b"body")
        assert len(accepted) == 1

    with_pool(work)


def test_a_connection_that_was_quiet_for_too_long_is_not_used_again():
    async def work(_pool, ask, accepted):
        await ask()
        await ask()
        assert len(accepted) == 2

    with_pool(work, quiet_seconds=0)


def test_a_connection_that_the_server_has_closed_is_not_used_again():
    async def hang_up(reader, writer):
        await received(reader)
        writer.write(OK)

    async def work(pool, ask, accepted):
        await ask()
        (_, kept) = pool._idle[0]
        await until(lambda: not kept.reusable)
        assert await ask() == (200, b"body")
        assert len(accepted) == 2

    with_pool(work, hang_up)


def test_there_are_never_more_than_so_many():
    here = []

    async def script(reader, writer):
        here.append(writer)
        await MANY(reader, writer)

    async def work(pool, ask, accepted):
        async with pool.lend(), pool.lend():
            third = asyncio.create_task(ask())
            await until(lambda: len(here) == 2)
            assert not third.done()
        assert await third == (200, b"body")
        assert len(accepted) == 2

    with_pool(work, script)


def test_one_that_was_left_within_a_reply_is_not_used_again():
    first = [OK[:-1]]

    async def half_then_whole(reader, writer):
        await serving_on(first.pop() if first else OK)(reader, writer)

    async def work(pool, ask, accepted):
        async with pool.lend() as connection:
            await connection.ask("GET", b"GET / HTTP/1.1\r\n\r\n")
            assert not connection.reusable
        assert await ask() == (200, b"body")
        assert len(accepted) == 2

    with_pool(work, half_then_whole)


def test_a_server_that_is_not_there_takes_no_place():
    async def work(pool, ask, _accepted):
        pool._origin = type(pool._origin)(False, "127.0.0.1", 9)
        for _ in range(3):
            with pytest.raises(WireError):
                await ask()

    with_pool(work)
