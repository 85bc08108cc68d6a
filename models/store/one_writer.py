"""The one connection of a process that writes to SQLite, handed on from write to write.

To borrow one from a pool and give it back takes as long as three statements do.
"""

import asyncio
import sqlite3
from typing import NamedTuple, cast

from sqlalchemy import PoolProxiedConnection
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine


class Lent(NamedTuple):
    """A connection as SQLAlchemy takes it, and the driver's own."""

    pooled: PoolProxiedConnection
    driver: sqlite3.Connection


class OneWriter:
    """Turns at writing, in the order in which they were asked for. `engine` makes its connection, and no other.

    `seconds` is how long one waits for a turn.
    """

    def __init__(self, engine: AsyncEngine, seconds: float) -> None:
        self._engine = engine
        self._seconds = seconds
        self._turn = asyncio.Semaphore(1)  # unlike a lock, it is no free one while others wait who were woken just now
        self._kept: Lent | None = None
        self._is_closed = False

    @property
    def is_writing(self) -> bool:
        return self._turn.locked()

    async def take(self) -> Lent:
        """Wait for a turn, which `hand_on` ends. Raises `PoolTimeoutError`, and what connecting raises."""
        if self._turn.locked():
            await self._wait()
        else:
            await self._turn.acquire()
        try:
            if self._kept is None:
                pooled = await self._engine.raw_connection()
                self._kept = Lent(pooled, cast("sqlite3.Connection", pooled.driver_connection))
        except BaseException:
            self._turn.release()
            raise
        return self._kept

    def hand_on(self) -> None:
        """End a turn. What is not committed is rolled back; where that fails, the next one gets another connection."""
        try:
            if self._kept is not None and self._kept.driver.in_transaction:
                self._kept.driver.rollback()
            if self._is_closed:
                self._let_go()
        except sqlite3.Error:
            self._let_go()
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the connection, or have the write under way end it; one that comes later makes one for itself."""
        self._is_closed = True
        if not self._turn.locked():
            self._let_go()

    def _let_go(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.pooled.close()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._turn.acquire()
        except TimeoutError as error:
            raise PoolTimeoutError(f"no turn at writing within {self._seconds:g} seconds") from error
