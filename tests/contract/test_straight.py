"""Statements straight to SQLite's driver do what they do through a session, on their way to either database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from models.domain.vocabulary import OverrideSetCause
from models.store.heads import lock_head
from models.store.mayor import MayorObservationRow
from models.store.policies import OverrideRow, OverrideSetRow
from models.store.rows import insert_rows
from models.store.straight import Values, driver_of
from models.store.unit import Session, Store, WriteUnit
from tests.bulk import add_towns
from tests.chains import AT, with_store
from tests.databases import Databases

TOWN = "straight"
SET: Values = {
    "town_id": TOWN,
    "version": 2,
    "profile_owner": "@central",
    "profile_name": "balanced",
    "profile_version": 1,
    "honor_bead_models": True,
    "content_hash": "0",
    "cause": OverrideSetCause.REVERTED,
    "revert_of": None,
    "reason": "Why “not”?",
    "created_at": AT,
    "actor_id": "someone",
    "on_behalf_of": None,
}


@pytest.fixture
def url(backend: str, databases: Databases) -> str:
    made = databases.fresh(backend)
    add_towns(made, [TOWN])
    return made


@contextmanager
def listened_to() -> Iterator[None]:
    """Statements go through the session, as someone wants to hear of them."""

    def hear(*_: Any) -> None: ...

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


async def write_set(unit: WriteUnit) -> None:
    assert (driver_of(unit.session) is not None) == unit.store.database.is_sqlite
    await insert_rows(unit.session, OverrideSetRow, [SET])


async def stored(session: Session) -> Values:
    found = (await session.exec(select(OverrideSetRow).where(OverrideSetRow.version == 2))).one()
    return found.model_dump()


def test_rows__written_straight__read_as_they_were_given(url: str) -> None:
    async def work(store: Store) -> Values:
        await store.write(write_set)
        return await store.fetch(stored)

    assert with_store(url, work) == SET


def test_head__locked_straight__is_what_a_session_finds(url: str) -> None:
    async def lock(unit: WriteUnit) -> object:
        return await lock_head(unit.session, TOWN, clock=lambda: AT)

    async def work(store: Store) -> tuple[object, object]:
        straight = await store.write(lock)
        with listened_to():
            return straight, await store.write(lock)

    straight, through = with_store(url, work)
    assert straight == through
    assert straight is not None


def test_statements__that_someone_listens_to__go_through_the_session(url: str) -> None:
    async def look(unit: WriteUnit) -> bool:
        return driver_of(unit.session) is None

    async def work(store: Store) -> bool:
        with listened_to():
            return await store.write(look)

    assert with_store(url, work)


def test_row__whose_key_is_taken__undoes_the_write_and_has_it_run_anew(url: str) -> None:
    tries = []

    async def work(store: Store) -> Any:
        await store.write(write_set)

        async def twice(unit: WriteUnit) -> None:
            tries.append(unit)
            observed = {"town_id": TOWN, "sequence": 1, "model": "m", "small_model": "s", "observed_at": AT}
            await insert_rows(unit.session, MayorObservationRow, [observed])
            await write_set(unit)

        with pytest.raises(IntegrityError):
            await store.write(twice)
        return await store.fetch(observations)

    async def observations(session: Session) -> Any:
        return (await session.exec(select(MayorObservationRow))).all()

    assert with_store(url, work) == []
    assert len(tries) > 1


def test_rows__pending_in_the_session__are_written_before_those_that_need_them(url: str) -> None:
    override = {
        "town_id": TOWN,
        "version": 2,
        "key": "*",
        "role": None,
        "label": None,
        "rig_id": None,
        "model": "m",
        "profile_model_when_set": None,
        "set_at": AT,
        "actor_id": "someone",
        "on_behalf_of": None,
    }

    async def write(unit: WriteUnit) -> None:
        unit.session.add(OverrideSetRow(**SET))
        await insert_rows(unit.session, OverrideRow, [override])

    async def work(store: Store) -> Values:
        await store.write(write)
        return await store.fetch(stored)

    assert with_store(url, work) == SET
