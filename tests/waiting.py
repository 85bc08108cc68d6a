"""Writes that stay under way for as long as a test wants, and requests that wait for them."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import asyncpg
import pytest
from sqlalchemy import Engine, event

from api.requests import current_request
from models.store.at_once import AtOnceDialect
from models.store.engine import open_database
from models.store.unit import Store, WriteUnit

T = TypeVar("T")

SECONDS: Final = 30  # for what takes no time when there is nothing else to do
REQUEST_ID: Final = "waits-for-its-turn"
_TURN: Final = re.compile(r"BEGIN IMMEDIATE|FOR (SHARE|UPDATE)|INSERT INTO heads")  # where a statement may have to wait
_BLOCKED: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@contextmanager
def turns_taken(order: list[str] | None = None, asks: threading.Event | None = None) -> Iterator[list[str]]:
    """When a request with `REQUEST_ID` asks for its turn, and when it has it: noted in `order`, as it happens."""
    noted = [] if order is None else order

    def is_turn(text: str) -> bool:
        given = current_request()
        return given == REQUEST_ID and _TURN.search(text) is not None

    def before(_connection: object, _cursor: object, text: str, *_: Any) -> None:
        if is_turn(text):
            noted.append("asks")
            if asks is not None:
                asks.set()

    def after(_connection: object, _cursor: object, text: str, *_: Any) -> None:
        if is_turn(text):
            noted.append("has")

    begins = AtOnceDialect.do_begin

    def begin(dialect: AtOnceDialect, connection: Any) -> None:
        """What begins a transaction goes straight to the driver."""
        before(None, None, dialect.begin)
        begins(dialect, connection)
        after(None, None, dialect.begin)

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AtOnceDialect, "do_begin", begin)
            yield noted
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """A write of another process, so to say, which has done all it does and is yet to be committed."""

    url: str
    instant: datetime
    order: list[str] = field(default_factory=list)
    _may_end: threading.Event
    _waits: threading.Event

    def delays(self, answer: Callable[[], T]) -> tuple[T, datetime]:
        """What a request with `REQUEST_ID` answers, which has to wait for the write; and when that was let go."""
        with ThreadPoolExecutor(1) as pool, turns_taken(self.order, self._waits):
            asked = pool.submit(answer)
            asked.add_done_callback(lambda _: self._waits.set())
            assert self._waits.wait(SECONDS)
            if self.url.startswith("postgresql"):
                asyncio.run(_until_blocked(self.url, asked))
            assert not asked.done(), "it did not wait"
            self.order.append("ends")
            ended = datetime.now(UTC)
            self._may_end.set()
            return asked.result(SECONDS), ended


class GivenUpError(Exception):
    """The write under way was not to be committed."""


@contextmanager
def under_way(
    url: str, work: Callable[[WriteUnit], Awaitable[datetime]], *, commits: bool = True
) -> Iterator[UnderWay]:
    """`work`, which gives its instant, in a transaction that ends when something was seen to wait for it."""
    instant: Future[datetime] = Future()
    may_end = threading.Event()

    async def stay(unit: WriteUnit) -> None:
        instant.set_result(await work(unit))
        await asyncio.to_thread(may_end.wait)
        if not commits:
            raise GivenUpError

    async def write() -> None:
        store = Store(database=open_database(url))
        try:
            await store.write(stay)
        finally:
            await store.dispose()

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(asyncio.run, write())
        try:
            yield UnderWay(url=url, instant=instant.result(SECONDS), _may_end=may_end, _waits=threading.Event())
        finally:
            may_end.set()
        failure = written.exception(SECONDS)
        assert failure is None if commits else isinstance(failure, GivenUpError)


async def _until_blocked(url: str, asked: Future[Any]) -> None:
    """Wait until PostgreSQL says that somebody waits for a lock, unless the answer is there first."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(SECONDS):
            while not asked.done() and await connection.fetchval(_BLOCKED) == 0:
                pass  # each look is a round trip
    finally:
        await connection.close()
