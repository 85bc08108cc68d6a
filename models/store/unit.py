"""Units of work: `Store.read` for a snapshot, `Store.write` for a transaction. Nothing else commits."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store.engine import Database
from models.store.tables import TableCache

T = TypeVar("T")
Clock = Callable[[], datetime]
Session = AsyncSession

_ATTEMPTS: Final = 5
_SERIALIZATION_FAILURE, _DEADLOCK = "40001", "40P01"


class StorageUnavailableError(Exception):
    """The database could not be reached, or had no room or time left. Nothing of the unit was written."""


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteUnit:
    """One transaction under way, and the store it belongs to."""

    session: AsyncSession
    store: "Store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A database with the clock that writes are stamped by, and the compiled tables that were read from it."""

    database: Database
    clock: Clock = system_clock
    tables: TableCache = field(default_factory=TableCache)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session whose statements all see one snapshot, begun at the first of them.

        Raises `StorageUnavailableError`.
        """
        try:
            async with AsyncSession(self.database.reader, expire_on_commit=False) as session:
                yield session
        except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
            raise StorageUnavailableError from error

    async def write(self, work: Callable[[WriteUnit], Awaitable[T]]) -> T:
        """Run `work` in one transaction and commit it.

        It is run anew, at most five times in all, where it lost a race that the database settled (a serialization
        failure, a deadlock, a key that someone else took first). Raises what `work` raises, after rolling back, and
        `StorageUnavailableError`.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._write_once(work)
            except DBAPIError as error:
                if isinstance(error, IntegrityError) or _sqlstate(error) in {_SERIALIZATION_FAILURE, _DEADLOCK}:
                    if attempt == _ATTEMPTS:
                        raise
                    await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311  # jitter, no secret
                elif isinstance(error, (OperationalError, InterfaceError)):
                    raise StorageUnavailableError from error
                else:
                    raise
            except (PoolTimeoutError, OSError) as error:
                raise StorageUnavailableError from error
        raise AssertionError("the last attempt returns or raises")

    async def _write_once(self, work: Callable[[WriteUnit], Awaitable[T]]) -> T:
        async with AsyncSession(self.database.writer, expire_on_commit=False) as session:
            result = await work(WriteUnit(session=session, store=self))
            await session.commit()
            return result

    async def dispose(self) -> None:
        await self.database.dispose()


def _sqlstate(error: DBAPIError) -> str | None:
    driver_error: Any = error.orig
    return getattr(driver_error, "sqlstate", None)
