"""PostgreSQL at its worst: limits that are reached, connections that are lost, a server that goes and comes back."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncpg
import pytest
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store.engine import Limits
from models.store.migrations import upgrade
from models.store.unit import OutcomeUnknownError, StorageUnavailableError, Store, WriteUnit
from tests.chains import with_store
from tests.client import Api, Json, serving
from tests.contract.recipes import REASON, unique
from tests.databases import Databases, prepare
from tests.postgres import postgres_server
from tests.proxy import Break, Proxy, proxy
from tests.towns import HAIKU, OPUS, make_town, rule

pytestmark = [pytest.mark.parametrize("backend", ["postgresql"], indirect=True)]

IN_FORCE = "query ($t: ID!) { town(townId: $t) { overrideSet { version } } }"
UNAVAILABLE = ["STORAGE_UNAVAILABLE"]
SECONDS = 20  # for what takes a fraction of one


@pytest.fixture(scope="module")
def url(backend: str, databases: Databases) -> str:
    return databases.fresh(backend)


def publication(town_id: str, expected_version: int = 1, **more: str) -> Json:
    override = rule(HAIKU, "MAYOR")
    return {"townId": town_id, "expectedVersion": expected_version, "reason": REASON, "override": override, **more}


def attempt(api: Api, given: Json) -> tuple[list[str], Json | None]:
    """The codes of the errors that `setOverride` ends in, and what else it answers."""
    query = """mutation ($input: SetOverrideInput!) {
        setOverride(input: $input) { currentVersion userErrors { code } } }"""
    answer = api.execute(query, input=given)
    errors = [error["extensions"]["code"] for error in answer.get("errors", [])]
    payload: Json | None = answer["data"] and answer["data"]["setOverride"]
    return errors, payload


# ---------------------------------------------------------------- limits


@contextmanager
def locked(url: str, town_id: str) -> Iterator[None]:
    """Someone else's transaction that holds a town's lock."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(url))
    try:
        loop.run_until_complete(connection.execute("BEGIN"))
        loop.run_until_complete(connection.execute("SELECT 1 FROM heads WHERE chain = $1 FOR UPDATE", town_id))
        yield
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


@pytest.mark.parametrize("limit", ["database_lock_timeout_seconds", "database_statement_timeout_seconds"])
def test_write__that_waits_longer_than_the_limit__is_told_so_and_succeeds_later(url: str, limit: str) -> None:
    settings: Json = {limit: 0.2}
    with serving(url, **settings) as api:
        town_id = make_town(api, rigs=())
        with locked(url, town_id):
            assert attempt(api, publication(town_id)) == (UNAVAILABLE, None)
            assert api.version(town_id) == 1, "reads go on"
        assert attempt(api, publication(town_id)) == ([], {"currentVersion": 2, "userErrors": []})


T = TypeVar("T")


async def ask(session: AsyncSession, statement: str) -> Any:
    return (await (await session.connection()).execute(text(statement))).scalar_one()


async def own_id(session: AsyncSession) -> int:
    found: int = await ask(session, "SELECT pg_backend_pid()")
    return found


async def until_gone(url: str, process: int, *, terminate: bool) -> None:
    """Wait until a connection's process at the server has ended."""
    connection = await asyncpg.connect(url)
    try:
        if terminate:
            await connection.execute("SELECT pg_terminate_backend($1)", process)
        async with asyncio.timeout(SECONDS):
            while await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", process):
                pass
    finally:
        await connection.close()


def test_pool__with_no_connection_free_for_too_long__is_unavailable(url: str) -> None:
    async def work(store: Store) -> None:
        async def hold(session: AsyncSession) -> int:
            process = await own_id(session)
            with pytest.raises(StorageUnavailableError):
                await store.fetch(own_id)
            return process

        assert await store.fetch(hold) == await store.fetch(own_id)

    with_store(url, work, Limits(pool_size=1, pool_wait=0.1))


def test_pool__in_a_burst__makes_more_connections_up_to_the_limit(url: str) -> None:
    async def work(store: Store) -> None:
        async def hold(session: AsyncSession) -> set[int]:
            return {await own_id(session), await store.fetch(own_id)}

        assert len(await store.fetch(hold)) == 2

    with_store(url, work, Limits(pool_size=1, pool_overflow=1, pool_wait=0.1))


def test_write__that_stands_idle_for_too_long__is_ended_by_the_server_and_done_anew(url: str) -> None:
    processes = []

    async def work(unit: WriteUnit) -> None:
        processes.append(await own_id(unit.session))
        if len(processes) == 1:
            await until_gone(url, processes[0], terminate=False)
        await ask(unit.session, "SELECT 1")

    with_store(url, lambda store: store.write(work), Limits(idle_in_transaction=0.1))
    assert len(set(processes)) == 2


def test_migration__that_waits_longer_than_any_limit__is_done_all_the_same(url: str) -> None:
    lock = "SELECT pg_advisory_lock(0x746F776E636C6B)"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND now() - query_start > '0.5s'"

    async def work(store: Store) -> None:
        another = await asyncpg.connect(url)
        try:
            await another.execute(lock)
            migration = asyncio.create_task(upgrade(store.database))
            async with asyncio.timeout(SECONDS):
                while not await another.fetchval(waiting):
                    pass
        finally:
            await another.close()
        await migration

    with_store(url, work, Limits(statement=0.2, lock=0.2, idle_in_transaction=0.2))


def test_url__with_a_connect_timeout_of_its_own__is_connected_to(url: str) -> None:
    with serving(f"{url}&connect_timeout=5") as api:
        assert api.http.get("/readyz").status_code == 200


# ---------------------------------------------------------------- lost connections


@pytest.mark.parametrize("losses", [1, 4])
def test_read__that_loses_its_connection__is_done_anew(url: str, losses: int) -> None:
    processes: list[int] = []

    async def query(session: AsyncSession) -> int:
        processes.append(await own_id(session))
        if len(processes) <= losses:
            await until_gone(url, processes[-1], terminate=True)
        found: int = await ask(session, "SELECT 7")
        return found

    assert with_store(url, lambda store: store.fetch(query)) == 7
    assert len(set(processes)) == losses + 1


def test_read__that_loses_every_connection__is_unavailable_after_five(url: str) -> None:
    processes: list[int] = []

    async def query(session: AsyncSession) -> None:
        processes.append(await own_id(session))
        await until_gone(url, processes[-1], terminate=True)
        await ask(session, "SELECT 1")

    with pytest.raises(StorageUnavailableError):
        with_store(url, lambda store: store.fetch(query))
    assert len(processes) == 5


@pytest.fixture(scope="module")
def far(url: str) -> Iterator[tuple[Api, Proxy]]:
    """A Townclerk that reaches its database through a proxy."""
    with proxy(url) as stretch, serving(stretch.url) as api:
        yield api, stretch


@pytest.mark.parametrize(
    ("breaks", "then"), [(Break.BEFORE_COMMIT_ARRIVES, 1), (Break.AFTER_COMMIT_IS_DONE, 2)], ids=["before", "after"]
)
def test_write__that_loses_its_connection_at_commit__is_told_by_its_idempotency_key(
    far: tuple[Api, Proxy], breaks: Break, then: int
) -> None:
    api, stretch = far
    town_id = make_town(api, rigs=())
    given = publication(town_id, idempotencyKey=unique("key"))
    stretch.breaks = breaks
    assert attempt(api, given) == (UNAVAILABLE, None)
    assert stretch.breaks is Break.NEVER, "it did break"
    assert api.version(town_id) == then
    for _ in range(2):
        assert attempt(api, given) == ([], {"currentVersion": 2, "userErrors": []})
    assert [entry["action"] for entry in api.entries(town_id)] == ["OVERRIDE_SET_PUBLISHED", "TOWN_CREATED"]


def test_commit__that_is_lost__is_not_called_undone(far: tuple[Api, Proxy]) -> None:
    _, stretch = far

    async def work(unit: WriteUnit) -> None:
        await ask(unit.session, "SELECT 1")

    stretch.breaks = Break.AFTER_COMMIT_IS_DONE
    with pytest.raises(OutcomeUnknownError):
        with_store(stretch.url, lambda store: store.write(work))


# ---------------------------------------------------------------- a server that goes


def test_server__that_goes_and_comes_back__is_met_again_without_a_restart(backend: str) -> None:
    assert backend
    with postgres_server(synchronous_commit="on") as server:
        asyncio.run(prepare(server.url))
        with serving(server.url) as api:
            town_id = make_town(api, rigs=())
            assert api.http.get("/readyz").status_code == 200
            for version in (1, 2):
                server.stop()
                assert api.http.get("/readyz").status_code == 503
                assert api.http.get("/healthz").status_code == 200
                assert (
                    api.codes("query ($t: ID!) { town(townId: $t) { overrideSet { version } } }", t=town_id)
                    == UNAVAILABLE
                )
                assert attempt(api, publication(town_id, version)) == (UNAVAILABLE, None)
                server.start()
                assert api.http.get("/readyz").status_code == 200
                assert api.version(town_id) == version
                model = publication(town_id, version)
                model["override"]["model"] = (HAIKU, OPUS)[version % 2]
                assert attempt(api, model) == ([], {"currentVersion": version + 1, "userErrors": []})
