"""Lookups find what a session would, at one moment, and wait where they have to."""

import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import pytest
from sqlalchemy import bindparam, func, make_url
from sqlmodel import SQLModel, col, select

from models.store.base import Instant
from models.store.policies import ModelRow, OverrideSetRow
from models.store.rows import table_of
from models.store.towns import HeadRow, TownRow
from models.store.unit import Session, Store
from tests.chains import with_store
from tests.databases import Databases

T = TypeVar("T")
Query = Callable[[Session], Awaitable[T]]
TABLES: Final = sorted(
    (mapper.class_ for mapper in SQLModel._sa_registry.mappers),  # noqa: SLF001  # it has no other list of them
    key=lambda kind: table_of(kind).name,
)
HELD: Final = 0.3  # seconds for which another process has the database


@pytest.fixture(scope="module")
def backend() -> str:
    """SQLite: PostgreSQL has sessions."""
    return "sqlite"


def both(url: str, query: Query[T]) -> tuple[T, T]:
    """What `query` gives, looked up and read. A statement is prepared when it is asked again."""

    async def work(store: Store) -> tuple[T, T]:
        looked_up = [await store.fetch(query) for _ in range(3)]
        assert looked_up == looked_up[:1] * 3
        async with store.read() as session:
            return looked_up[0], await query(session)

    return with_store(url, work)


def columns(row: SQLModel | None) -> Any:
    return row and {name: getattr(row, name) for name in type(row).model_fields}


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: table_of(kind).name)
def test_lookup__of_a_table__finds_the_rows_of_a_session(true_history: str, kind: type[SQLModel]) -> None:
    query = select(kind).order_by(*table_of(kind).primary_key.columns)

    async def rows(session: Session) -> list[Any]:
        return [columns(row) for row in await session.exec(query)]

    looked_up, read = both(true_history, rows)
    assert looked_up == read


def test_lookup__of_tables_that_are_joined__finds_the_rows_of_a_session(true_history: str) -> None:
    async def rows(session: Session) -> list[Any]:
        query = select(func.length(col(HeadRow.chain)), TownRow, HeadRow).select_from(HeadRow)
        found = await session.exec(query.outerjoin(TownRow, col(TownRow.town_id) == col(HeadRow.chain)))
        return [(length, columns(town), columns(head)) for length, town, head in found]

    looked_up, read = both(true_history, rows)
    assert sorted(looked_up, key=repr) == sorted(read, key=repr)
    assert {town is None for _, town, _ in looked_up} == {True, False}, "the central chain is no town's"


def test_lookup__with_parameters__finds_the_rows_of_a_session(true_history: str) -> None:
    query = select(OverrideSetRow).where(
        col(OverrideSetRow.created_at) <= bindparam("at", type_=Instant), col(OverrideSetRow.version) == 1
    )
    at = datetime(2100, 1, 1, tzinfo=UTC)

    async def rows(session: Session) -> list[Any]:
        later = [columns(row) for row in await session.exec(query, params={"at": at})]
        return [later, (await session.exec(query, params={"at": datetime(1990, 1, 1, tzinfo=UTC)})).one_or_none()]

    looked_up, read = both(true_history, rows)
    assert sorted(looked_up[0], key=repr) == sorted(read[0], key=repr)
    assert looked_up[0]
    assert looked_up[1] is read[1] is None


def test_lookup__by_a_key__finds_the_row_of_a_session(true_history: str) -> None:
    async def rows(session: Session) -> list[Any]:
        town = (await session.exec(select(TownRow).limit(1))).one()
        return [
            columns(await session.get(TownRow, town.town_id)),
            columns(await session.get(OverrideSetRow, (town.town_id, 1))),
            await session.get(TownRow, "nowhere"),
        ]

    looked_up, read = both(true_history, rows)
    assert looked_up == read


@pytest.fixture
def url(databases: Databases) -> str:
    return databases.fresh("sqlite")


def another(url: str) -> sqlite3.Connection:
    return sqlite3.connect(make_url(url).database or "", isolation_level=None, check_same_thread=False)


async def models(session: Session) -> int:
    return len((await session.exec(select(ModelRow))).all())


def test_lookup__of_several_statements__sees_one_snapshot(url: str) -> None:
    async def twice(session: Session) -> tuple[int, int]:
        before = await models(session)
        with closing(another(url)) as other:
            other.execute("INSERT INTO models (model_id, display_name) VALUES ('made-meanwhile', '')")
        return before, await models(session)

    async def work(store: Store) -> tuple[tuple[int, int], int]:
        return await store.fetch(twice), await store.fetch(models)

    (before, meanwhile), after = with_store(url, work)
    assert (meanwhile, after) == (before, before + 1)


def test_lookup__that_fails__leaves_nothing_behind(url: str) -> None:
    async def failing(session: Session) -> None:
        await models(session)
        raise LookupError

    async def work(store: Store) -> int:
        for _ in range(20):
            with pytest.raises(LookupError):
                await store.fetch(failing)
        return await store.fetch(models)

    assert with_store(url, work) > 0


def test_lookup__in_a_file_that_is_somebody_elses__waits_for_it(url: str) -> None:
    with closing(another(url)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(with_store, url, lambda store: store.fetch(models))
            time.sleep(HELD)
            assert not found.done()
            other.close()
            assert found.result() > 0
