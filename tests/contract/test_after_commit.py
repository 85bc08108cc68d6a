"""Who waits is woken up after a commit, never before it and never for what was refused; and what they then read."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from models.domain.errors import Refused
from models.store.mayor import MayorSignalRow
from models.store.queries import feeds
from models.store.unit import Store, WriteUnit
from models.store.wake import listen
from tests.chains import with_store
from tests.client import serving
from tests.towns import HAIKU, SONNET, make_town, publish, rule
from tests.writing import writing

SECONDS = 60


def test_hook__after_a_write__finds_what_was_committed(database_url: str) -> None:
    with serving(database_url) as api:
        town_id = make_town(api)
    with writing(database_url) as writer, writing(database_url) as reader:
        told: list[frozenset[str]] = []
        writer.store.after_commit.append(told.append)
        writer.write(town_id, 2)
        assert told == [frozenset({town_id})] * 2
        assert reader.head(town_id) == 5


def test_hook__of_a_write_that_was_refused__is_not_called(database_url: str) -> None:
    with writing(database_url) as writer:
        told: list[frozenset[str]] = []
        writer.store.after_commit.append(told.append)
        with pytest.raises(Refused):
            writer.write("nope", 1)
        assert told == []


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_listener__of_another_process__hears_of_commits_alone_and_once_each(database_url: str) -> None:
    async def hear(store: Store) -> list[str | None]:
        heard: asyncio.Queue[str | None] = asyncio.Queue()
        stop = asyncio.Event()
        listening = asyncio.create_task(listen(store.database, heard.put_nowait, stop))
        first = await asyncio.wait_for(heard.get(), SECONDS)
        with pytest.raises(ZeroDivisionError):
            await store.write(announcing("never", then=lambda: 1 // 0))
        await store.write(announcing("a-town", "a-town", "@central"))
        found = [first, *[await asyncio.wait_for(heard.get(), SECONDS) for _ in range(2)]]
        stop.set()
        await asyncio.wait_for(listening, SECONDS)
        return found

    assert with_store(database_url, hear) == [None, "a-town", "@central"]


def test_signals__above_one_that_was_told__come_in_order_with_what_became_of_them(database_url: str) -> None:
    with serving(database_url) as api:
        town_id = make_town(api)
        for model in (HAIKU, SONNET, HAIKU):
            publish(api, town_id, overrides=[rule(model, role="MAYOR")])

    async def read(store: Store) -> list[list[tuple[int, bool]]]:
        async with store.read() as session:
            told = ((0, False), (1, True), (1, False), (3, True), (3, False))
            return [shown(await feeds.signals_after(session, town_id, above, told_open=it)) for above, it in told]

    last = [(2, True), (3, False)]
    assert with_store(database_url, read) == [[(1, True), *last], [(1, True), *last], last, [], []]


def shown(rows: Any) -> list[tuple[int, bool]]:
    """Sequence, and whether it was closed."""
    signals: list[MayorSignalRow] = list(rows)
    return [(row.sequence, row.closed_at is not None) for row in signals]


def announcing(*chains: str, then: Callable[[], object] = lambda: None) -> Callable[[WriteUnit], Awaitable[None]]:
    async def work(unit: WriteUnit) -> None:
        for chain in chains:
            await unit.announce([chain])
        then()

    return work
