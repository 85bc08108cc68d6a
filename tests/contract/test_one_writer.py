"""One write after the other, in their order, in a process; on SQLite over one connection, whatever comes of each."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from api.metrics import Metrics
from models.services.heads import lock_central
from models.store.engine import Limits
from models.store.policies import ModelRow
from models.store.rows import insert_rows
from models.store.straight import driver_of
from models.store.unit import Session, StorageUnavailableError, Store, WriteUnit
from tests.chains import with_store
from tests.databases import Databases

SECONDS = 20
HURRIED = Limits(pool_wait=0.5)


@pytest.fixture
def sqlite(databases: Databases) -> str:
    return databases.fresh("sqlite")


class Held:
    """A write that waits, within its transaction, until it is let go."""

    def __init__(self, store: Store) -> None:
        self._begun, self._go = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(store.write(self._work))

    async def _work(self, unit: WriteUnit) -> None:
        await lock_central(unit)
        self._begun.set()
        await self._go.wait()

    async def __aenter__(self) -> None:
        await self._begun.wait()

    async def __aexit__(self, *_: object) -> None:
        self._go.set()
        await self._task


async def add_model(unit: WriteUnit, model_id: str) -> None:
    row = {"model_id": model_id, "display_name": "", "deprecated_at": None, "replaced_by": None}
    await insert_rows(unit.session, ModelRow, [row])


async def look(_unit: WriteUnit) -> bool:
    return True


async def is_there(store: Store, model_id: str) -> bool:
    async def found(session: Session) -> bool:
        return await session.get(ModelRow, model_id) is not None

    return await store.fetch(found)


def test_writes__that_wait__go_in_the_order_in_which_they_came(sqlite: str) -> None:
    order = []

    async def work(store: Store) -> None:
        async def note(number: int) -> None:
            async def noting(_unit: WriteUnit) -> None:
                order.append(number)

            await store.write(noting)

        async with Held(store):
            waiting = []
            for number in range(5):
                waiting.append(asyncio.create_task(note(number)))
                await asyncio.sleep(0)
            assert order == []
        await asyncio.gather(*waiting)

    with_store(sqlite, work)
    assert order == list(range(5))


def test_write__that_waits_too_long__is_refused_and_takes_nobodys_turn(sqlite: str) -> None:
    async def work(store: Store) -> bool:
        async with Held(store):
            with pytest.raises(StorageUnavailableError):
                await store.write(look)
        return await store.write(look)

    assert with_store(sqlite, work, HURRIED)


def test_write__right_after_another__waits_no_longer_than_it_may(sqlite: str) -> None:
    """It comes as the turn has been handed on to one that does not know yet."""

    async def work(store: Store) -> None:
        go, refused = asyncio.Event(), asyncio.Event()

        async def write_twice() -> None:
            await store.write(lambda _: asyncio.wait_for(go.wait(), SECONDS))
            await store.write(look)

        async def hold() -> None:
            async with Held(store):
                await asyncio.wait_for(refused.wait(), SECONDS)

        tasks = []
        for each in (write_twice, hold):
            tasks.append(asyncio.create_task(each()))
            await asyncio.sleep(0)
        go.set()
        with pytest.raises(StorageUnavailableError):
            await tasks[0]
        refused.set()
        await tasks[1]

    with_store(sqlite, work, HURRIED)


def test_write__given_up_while_it_waits__takes_nobodys_turn(sqlite: str) -> None:
    async def work(store: Store) -> bool:
        async with Held(store):
            given_up = asyncio.create_task(store.write(look))
            await asyncio.sleep(0)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
        return await store.write(look)

    assert with_store(sqlite, work)


def test_write__after_one_that_failed__finds_nothing_of_it(sqlite: str) -> None:
    async def work(store: Store) -> list[bool]:
        async def fail(unit: WriteUnit) -> None:
            await add_model(unit, "half-written")
            raise LookupError

        with pytest.raises(LookupError):
            await store.write(fail)
        await store.write(partial(add_model, model_id="written"))
        return [await is_there(store, model_id) for model_id in ("half-written", "written")]

    assert with_store(sqlite, work) == [False, True]


def test_write__after_one_that_lost_its_connection__has_another(sqlite: str) -> None:
    async def work(store: Store) -> bool:
        async def lose(unit: WriteUnit) -> None:
            driver = driver_of(unit.session)
            assert driver is not None
            driver.close()
            raise LookupError

        with pytest.raises(LookupError):
            await store.write(lose)
        await store.write(partial(add_model, model_id="written"))
        return await is_there(store, "written")

    assert with_store(sqlite, work)


def test_write__after_its_connection_was_closed_by_somebody__heals(sqlite: str) -> None:
    async def work(store: Store) -> bool:
        async def found(unit: WriteUnit) -> sqlite3.Connection | None:
            return driver_of(unit.session)

        driver = await store.write(found)
        assert driver is not None
        driver.close()
        with pytest.raises(SQLAlchemyError):
            await store.write(look)
        return await store.write(look)

    assert with_store(sqlite, work)


def test_dispose__while_one_writes__lets_it_end_and_waits_for_nothing(sqlite: str) -> None:
    async def work(store: Store) -> bool:
        async with Held(store):
            await asyncio.wait_for(store.dispose(), SECONDS)
        return await store.write(look)

    assert with_store(sqlite, work)


def test_write__once_the_file_can_be_opened__goes_through(sqlite: str) -> None:
    file = Path(str(make_url(sqlite).database))
    elsewhere = file.with_suffix(".away")

    def hide() -> None:
        file.rename(elsewhere)
        file.mkdir()  # which SQLite can't open

    def show() -> None:
        file.rmdir()
        elsewhere.rename(file)

    async def work(store: Store) -> bool:
        hide()
        with pytest.raises(StorageUnavailableError):
            await store.write(look)
        show()
        return await store.write(look)

    assert with_store(sqlite, work)


def test_write__under_way__is_a_connection_in_use(backend: str, databases: Databases) -> None:
    async def in_use(metrics: Metrics) -> bytes:
        text = bytes((await metrics.show(Request({"type": "http"}))).body)
        [line] = [it for it in text.splitlines() if it.startswith(b'townclerk_pool_connections_in_use{pool="write"}')]
        return line.split()[-1]

    async def work(store: Store) -> tuple[bytes, bytes]:
        metrics = Metrics(store)
        async with Held(store):
            meanwhile = await in_use(metrics)
        return meanwhile, await in_use(metrics)

    assert with_store(databases.fresh(backend), work) == (b"1.0", b"0.0")
