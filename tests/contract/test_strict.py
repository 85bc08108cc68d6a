"""Strict reads: shared by those who wait, never older than what was committed, and never waited for in vain."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import make_url

from models.store import strict
from models.store.engine import Database, open_database
from models.store.lanes import Lane
from models.store.strict import BEADS, STRICT_READER, BeadNow, Rows, StrictReads, _Shared, strict_reads
from models.store.unit import StorageUnavailableError
from tests.client import Api, serving
from tests.databases import Databases
from tests.towns import make_town, sync

_OURS: Final = " FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()"
BLOCKED: Final = f"SELECT count(*){_OURS} AND wait_event_type = 'Lock'"
TERMINATE: Final = f"SELECT count(pg_terminate_backend(pid)){_OURS}"
WAITERS: Final = 40


@pytest.fixture(scope="module")
def beads(dev: Api) -> list[str]:
    """Beads of two towns."""
    towns = [make_town(dev, rigs=()) for _ in range(2)]
    ids = [f"{town_id}-{number}" for town_id in towns for number in range(WAITERS)]
    for town_id in towns:
        sync(dev, town_id, *({"beadId": each} for each in ids if each.startswith(town_id)))
    return ids


def run(url: str, work: Callable[[StrictReads], Coroutine[Any, Any, Any]]) -> Any:
    """What `work` gives for strict reads of a database."""

    async def with_reads() -> Any:
        database: Database = open_database(url)
        reads = strict_reads(database)
        try:
            async with asyncio.timeout(30):
                return await work(reads)
        finally:
            await reads.close()
            await database.dispose()

    return asyncio.run(with_reads())


def test_beads__that_are_there__are_told_with_their_towns_version(dev: Api, beads: list[str]) -> None:
    found = run(dev.url, lambda reads: reads.beads([beads[0], "nowhere", beads[-1]]))
    told = {bead: (town, version, signature) for bead, town, version, signature in found}
    assert told == {each: (each.rpartition("-")[0], 1, "polecat|||") for each in (beads[0], beads[-1])}


def test_towns__that_are_there__are_told_with_their_mayors(dev: Api) -> None:
    town_id = make_town(dev, rigs=())
    pair = {"model": "anthropic/claude-haiku-4.5", "smallModel": "anthropic/claude-haiku-4.5"}
    before = run(dev.url, lambda reads: reads.towns([town_id, "nowhere", "central"]))
    dev.done("detectMayorChange", townId=town_id, observed=pair)
    after = run(dev.url, lambda reads: reads.towns([town_id]))
    assert [tuple(row) for row in (*before, *after)] == [(town_id, 1, 0, None), (town_id, 1, 1, 1)]


def test_read__whose_asker_fails__takes_no_other_with_it(
    dev: Api, beads: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def work(reads: StrictReads) -> list[Any]:
        found: list[Any] = []
        told = asyncio.Semaphore(0)

        def fails(_found: object) -> None:
            told.release()
            raise RuntimeError("on purpose")

        for _ in range(2 * BEADS.lanes):
            reads.ask(BEADS, beads[:1], fails)
            found += await outcomes(asking(reads, beads[:3]))
            await told.acquire()
        return found

    assert run(dev.url, work) == 2 * BEADS.lanes * beads[:3]
    assert caplog.text.count("RuntimeError: on purpose") == 2 * BEADS.lanes


# ---- PostgreSQL: statements that are shared


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many keys each statement was sent with."""
    sizes: list[int] = []
    ask = Lane.ask

    def counted(lane: Lane[Any], keys: Any, batch: Any) -> None:
        sizes.append(len(keys))
        ask(lane, keys, batch)

    monkeypatch.setattr(Lane, "ask", counted)
    return sizes


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The connections that are made, by what they ask."""
    made: list[str] = []
    connected = _Shared._connected  # noqa: SLF001

    async def counted(shared: _Shared) -> Lane[Any]:
        made.append(shared._statement.name)  # noqa: SLF001
        return await connected(shared)

    monkeypatch.setattr(_Shared, "_connected", counted)
    return made


only_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True, scope="module")


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[asyncpg.Connection]:
    """While nobody can read beads. Gives a connection to look on by."""
    holder, onlooker = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE beads IN ACCESS EXCLUSIVE MODE")
            yield onlooker
    finally:
        await holder.close()
        await onlooker.close()


async def until_blocked(onlooker: asyncpg.Connection) -> None:
    """Wait until a strict read waits for the lock."""
    blocked = 0
    while not blocked:
        blocked = await onlooker.fetchval(BLOCKED, STRICT_READER)


def asking(reads: StrictReads, beads: list[str]) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(reads.beads([each])) for each in beads]


async def outcomes_once_disconnected(url: str, tasks: list[asyncio.Task[Any]]) -> tuple[list[Any], int]:
    """The outcomes, and how many connections of strict reads are left once there are none, for which it waits."""
    onlooker = await asyncpg.connect(url)
    told = await outcomes(tasks)
    while left := await onlooker.fetchval(f"SELECT count(*){_OURS}", STRICT_READER):
        pass
    await onlooker.close()
    return told, left


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    """For each the bead that it heard of, or what was raised."""
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(each) if isinstance(each, BaseException) else each[0][0] for each in found]


@only_postgresql
def test_reads__that_wait_while_one_is_under_way__share_the_next(
    dev: Api, beads: list[str], fetched: list[int]
) -> None:
    async def work(reads: StrictReads) -> list[Any]:
        async with locked(dev.url) as onlooker:
            first = asking(reads, beads[:2])
            await until_blocked(onlooker)
            others = asking(reads, beads[2:])
            await asyncio.sleep(0)
        return await outcomes([*first, *others])

    assert run(dev.url, work) == beads
    assert len(fetched) <= 4
    assert sum(fetched) == len(beads)


@only_postgresql
def test_reads__of_more_keys_than_a_statement_takes__are_several(
    dev: Api, beads: list[str], fetched: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict, "_MOST", 10)
    assert run(dev.url, lambda reads: outcomes(asking(reads, beads))) == beads
    assert max(fetched) <= 10


@only_postgresql
def test_reads__of_a_connection_that_is_dropped_amid_them__are_asked_again(dev: Api, beads: list[str]) -> None:
    async def work(reads: StrictReads) -> list[Any]:
        await reads.beads(beads[:1])  # so that there is a connection that was kept
        async with locked(dev.url) as onlooker:
            waiting = asking(reads, beads)
            await until_blocked(onlooker)
            await onlooker.execute(TERMINATE, STRICT_READER)
            await until_blocked(onlooker)
        return await outcomes(waiting)

    found = run(dev.url, work)
    assert all(each in {bead, StorageUnavailableError} for each, bead in zip(found, beads, strict=True))
    assert beads[0] in found


@only_postgresql
def test_reads__whose_connections_are_dropped_again_and_again__are_told_and_the_next_are_answered(
    dev: Api, beads: list[str]
) -> None:
    async def work(reads: StrictReads) -> tuple[list[Any], list[Any]]:
        async with locked(dev.url) as onlooker:
            waiting = asking(reads, beads)
            while not all(task.done() for task in waiting):
                await onlooker.execute(TERMINATE, STRICT_READER)
        return await outcomes(waiting), await outcomes(asking(reads, beads))

    assert run(dev.url, work) == ([StorageUnavailableError] * len(beads), beads)


@only_postgresql
def test_reads__that_take_too_long__are_told(dev: Api, beads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict, "_SECONDS", 0.2)

    async def work(reads: StrictReads) -> tuple[list[Any], list[Any]]:
        async with locked(dev.url):
            in_time = await outcomes(asking(reads, beads))
        monkeypatch.undo()
        return in_time, await outcomes(asking(reads, beads))

    assert run(dev.url, work) == ([StorageUnavailableError] * len(beads), beads)


@only_postgresql
def test_reads__that_take_too_long_on_a_connection_that_was_kept__are_told_and_not_asked_again(
    dev: Api, beads: list[str], monkeypatch: pytest.MonkeyPatch, connections: list[str]
) -> None:
    monkeypatch.setattr(strict, "_SECONDS", 0.2)

    async def work(reads: StrictReads) -> list[Any]:
        await reads.beads(beads[:1])
        async with locked(dev.url):
            return await outcomes(asking(reads, beads))

    assert run(dev.url, work) == [StorageUnavailableError] * len(beads)
    assert len(connections) == 2  # the one that was kept, and one for the second lane


@only_postgresql
def test_read__asked_anew_by_who_is_told_that_it_took_too_long__is_answered(
    dev: Api, beads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = _Shared._connected  # noqa: SLF001
    too_late = [TimeoutError()]

    async def once_too_late(shared: _Shared) -> Lane[Any]:
        if too_late:
            raise too_late.pop()
        return await connected(shared)

    monkeypatch.setattr(_Shared, "_connected", once_too_late)

    async def work(reads: StrictReads) -> list[list[str]]:
        found: list[list[str]] = []
        all_found = asyncio.Event()

        def asked(bead_id: str) -> None:
            def told(rows: Rows | StorageUnavailableError) -> None:
                if isinstance(rows, StorageUnavailableError):
                    asked(bead_id)
                    return
                found.append([row[0] for row in rows])
                if len(found) == len(beads):
                    all_found.set()

            reads.ask(BEADS, [bead_id], told)

        for bead_id in beads:
            asked(bead_id)
        await all_found.wait()
        return found

    assert sorted(run(dev.url, work)) == sorted([bead_id] for bead_id in beads)


@only_postgresql
def test_connection__that_is_in_use_when_reads_are_closed__is_ended_after_it(dev: Api, beads: list[str]) -> None:
    async def work(reads: StrictReads) -> tuple[list[Any], int]:
        await reads.beads(beads[:1])
        async with locked(dev.url) as onlooker:
            waiting = asking(reads, beads[:1])
            await until_blocked(onlooker)
            await reads.close()
        return await outcomes_once_disconnected(dev.url, waiting)

    assert run(dev.url, work) == (beads[:1], 0)


@only_postgresql
def test_reads__that_wait_for_a_connection_when_reads_are_closed__are_told(dev: Api, beads: list[str]) -> None:
    async def work(reads: StrictReads) -> tuple[list[Any], int]:
        waiting = asking(reads, beads)
        await asyncio.sleep(0)
        await reads.close()
        return await outcomes_once_disconnected(dev.url, waiting)

    assert run(dev.url, work) == ([StorageUnavailableError] * len(beads), 0)


@only_postgresql
def test_read__that_is_given_up__takes_none_of_the_others_with_it(dev: Api, beads: list[str]) -> None:
    async def work(reads: StrictReads) -> list[Any]:
        async with locked(dev.url) as onlooker:
            waiting = asking(reads, beads)
            await until_blocked(onlooker)
            waiting[0].cancel()
            waiting[-1].cancel()
            await asyncio.sleep(0)
        return await outcomes(waiting)

    assert run(dev.url, work) == [asyncio.CancelledError, *beads[1:-1], asyncio.CancelledError]


@only_postgresql
def test_read__right_after_another_has_ended__is_not_left_waiting(dev: Api, beads: list[str]) -> None:
    async def work(reads: StrictReads) -> list[BeadNow]:
        found: list[BeadNow] = []

        async def one_after_the_other() -> None:
            for each in beads:
                found.extend(await reads.beads([each]))

        await asyncio.gather(*(one_after_the_other() for _ in range(5)))
        return found

    assert len(run(dev.url, work)) == 5 * len(beads)


# ---- SQLite: a lookup in the event loop's own thread, which must not wait there


only_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="module")


@only_sqlite
def test_read__of_a_file_that_is_somebody_elses__is_told_at_once(backend: str, databases: Databases) -> None:
    url = databases.fresh(backend)
    with serving(url) as api:
        town_id = make_town(api, rigs=())
        sync(api, town_id, {"beadId": "bead-1"}, {"beadId": "bead-2"})
    beads = ["bead-1", "bead-2"]

    async def work(reads: StrictReads) -> list[Any]:
        with closing(sqlite3.connect(str(make_url(url).database), isolation_level=None)) as owner:
            owner.execute("PRAGMA locking_mode=EXCLUSIVE")
            owner.execute("BEGIN EXCLUSIVE")
            while_taken = await outcomes(asking(reads, beads))
        return while_taken + await outcomes(asking(reads, beads))

    assert run(url, work) == [StorageUnavailableError] * 2 + beads


@only_sqlite
def test_read__of_a_file_that_is_not_there__is_told_and_makes_none(backend: str, tmp_path: Path) -> None:
    url = f"{backend}:///{tmp_path}/none.db"
    with pytest.raises(StorageUnavailableError):
        run(url, lambda reads: reads.beads(["bead"]))
    assert list(tmp_path.iterdir()) == []
