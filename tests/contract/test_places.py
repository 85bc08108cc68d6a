"""What takes long, and takes connections, leaves some for those who have to be let in, or turned out."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest
from sqlmodel import col, select

from models.domain.audit import CENTRAL_CHAIN
from models.domain.tokens import EVERYTHING
from models.services.verification import verify_one
from models.store.towns import HeadRow
from models.store.unit import LONG_READS, Store
from tests.chains import with_store
from tests.client import serving
from tests.tokens import make_token

BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # where readers can be kept waiting
def test_sign_in__while_every_reader_is_taken__is_answered(database_url: str) -> None:
    tokens = [make_token(database_url, "reader") for _ in range(2)]
    with serving(database_url, dev=False, database_pool_size=1) as api, ThreadPoolExecutor() as pool:
        waiting, newcomer = map(api.holding, tokens)

        async def look() -> object:
            connection = await asyncpg.connect(database_url)
            try:
                async with connection.transaction():
                    await connection.execute("LOCK TABLE towns IN ACCESS EXCLUSIVE MODE")
                    listed = asyncio.wrap_future(pool.submit(waiting.data, "{ towns { edges { cursor } } }"))
                    while not await connection.fetchval(BLOCKED):
                        assert not listed.done()
                    found = await asyncio.to_thread(newcomer.data, "{ viewer { scopes } }")
                    assert not listed.done()
                assert await listed == {"towns": {"edges": []}}
                return found
            finally:
                await connection.close()

        assert asyncio.run(look()) == {"viewer": {"scopes": ["READER"]}}


def test_verification__beyond_those_that_may_be_at_once__waits_and_others_read(database_url: str) -> None:
    async def look(store: Store) -> None:
        for _ in range(LONG_READS):
            await store.long_reads.acquire()
        verifying = asyncio.create_task(verify_one(store, EVERYTHING, CENTRAL_CHAIN))
        for _ in range(10):
            await store.fetch(lambda session: session.exec(select(col(HeadRow.chain))))
        assert not verifying.done()
        store.long_reads.release()
        assert (await verifying).ok

    with_store(database_url, look)


def test_place__of_a_request_that_was_refused_or_failed__is_free_again(database_url: str) -> None:
    with serving(database_url, max_requests=1) as api:
        for body in (b"{", b"{}", b'{"query": "{"}', b'{"query": "{ nope }"}', b'{"query": "{ labels { name } }"}'):
            assert b"BUSY" not in api.post(body)[1]
            assert b"BUSY" not in api.post(body)[1]
        assert api.data("{ labels { precedence } }")["labels"]
