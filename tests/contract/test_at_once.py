"""SQLite asked in the event loop's thread: whatever has to be waited for lets the loop go on."""

import asyncio
import sqlite3
import time
from contextlib import closing
from functools import partial
from typing import Final

import pytest
from sqlalchemy import delete, func, make_url, text
from sqlmodel import select

from models.store.policies import ModelRow
from models.store.straight import driver_of
from models.store.unit import Session, StorageUnavailableError, Store, WriteUnit
from tests.chains import with_store
from tests.databases import Databases

HELD: Final = 0.3  # seconds for which another process has the database
STEP: Final = 0.01
ADD: Final = text("INSERT INTO models (model_id, display_name) VALUES (:name, :name)")


@pytest.fixture
def url(databases: Databases) -> str:
    return databases.fresh("sqlite")


def file_of(url: str) -> str:
    return make_url(url).database or ""


async def add_model(unit: WriteUnit, name: str = "made-here") -> None:
    await (await unit.session.connection()).execute(ADD, {"name": name})


async def models(session: Session) -> int:
    return (await session.exec(select(func.count()).select_from(ModelRow))).one()


def test_write__while_another_process_writes__waits_and_the_loop_goes_on(url: str) -> None:
    async def work(store: Store) -> tuple[int, int]:
        before = await store.fetch(models)
        with closing(sqlite3.connect(file_of(url), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.perf_counter()
            writing = asyncio.create_task(store.write(add_model))
            steps = 0
            while time.perf_counter() - began < HELD:
                await asyncio.sleep(STEP)
                steps += 1
            assert not writing.done()
            assert await store.fetch(models) == before, "reads do not wait"
            other.execute("ROLLBACK")
            await writing
        return steps, await store.fetch(models) - before

    steps, added = with_store(url, work)
    assert steps > HELD / STEP / 5
    assert added == 1


def test_write__cancelled_at_its_commit__is_told_if_stored_and_leaves_the_connection_to_the_next(url: str) -> None:
    told: list[frozenset[str]] = []

    async def add(unit: WriteUnit, name: str) -> None:
        await unit.announce([name])
        await add_model(unit, name)

    async def work(store: Store) -> tuple[int, int]:
        store.after_commit.append(told.append)
        before = await store.fetch(models)
        cancelled = 0
        for number in range(100):
            writing = asyncio.create_task(store.write(partial(add, name=f"model-{number}")))
            for _ in range(number):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait([writing])
            cancelled += writing.cancelled()
        await store.write(partial(add, name="the last"))
        return cancelled, await store.fetch(models) - before

    cancelled, stored = with_store(url, work)
    assert len(told) == stored
    assert stored + cancelled > 101, "some were cancelled and stored"


def test_write__whose_transaction_sqlite_has_undone__is_not_told_as_done(url: str) -> None:
    async def work(store: Store) -> int:
        async def undone(unit: WriteUnit) -> None:
            await add_model(unit)
            driver = driver_of(unit.session)
            assert driver is not None
            driver.rollback()  # as it does by itself when the disk is full

        before = await store.fetch(models)
        with pytest.raises(RuntimeError):
            await store.write(undone)
        return await store.fetch(models) - before

    assert with_store(url, work) == 0


def test_write__of_more_rows_than_take_no_time__is_written_whole(url: str) -> None:
    async def work(store: Store) -> int:
        async def many(unit: WriteUnit) -> None:
            rows = [{"name": f"model-{number}"} for number in range(1000)]
            await (await unit.session.connection()).execute(ADD, rows)

        before = await store.fetch(models)
        await store.write(many)
        return await store.fetch(models) - before

    assert with_store(url, work) == 1000


@pytest.mark.parametrize("way", ["fetch", "search"])
def test_read__that_would_write__is_refused(url: str, way: str) -> None:
    async def work(store: Store) -> None:
        async def write(session: Session) -> None:
            await session.exec(delete(ModelRow))

        await getattr(store, way)(write)

    with pytest.raises(StorageUnavailableError):
        with_store(url, work)
