"""Waking up whoever waits for a chain to move, in other processes: PostgreSQL's NOTIFY and LISTEN.

These are hints. They are lost whenever a connection is, so that nothing may depend on them; they save waiting.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import asyncpg
import structlog
from sqlalchemy import func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store.engine import Database

Heard = Callable[[str | None], None]

LISTENER: Final = "townclerk-listen"  # as pg_stat_activity shows it

_CHANNEL: Final = "townclerk"
_CONNECT_SECONDS: Final = 5.0
_PROBE_SECONDS: Final = 30.0  # a connection that broke without a word is found out so
_SHORTEST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_LOG: Final = structlog.get_logger("townclerk.wake")


async def notify(session: AsyncSession, chain: str) -> None:
    """Tell all listeners that `chain` has moved, once the transaction is committed and only then."""
    await session.exec(select(func.pg_notify(_CHANNEL, chain)))


async def listen(database: Database, heard: Heard, stop: asyncio.Event) -> None:
    """Call `heard` with each chain that moves, whichever process moved it, until `stop` is set.

    The connection, one a process, is made anew where it is lost. `heard(None)` says that some may have been missed.
    """
    clock = asyncio.get_running_loop().time
    pause = _SHORTEST_PAUSE
    while not stop.is_set():
        begun = clock()
        try:
            async with _listening(database, heard) as connection:
                heard(None)
                _LOG.info("listening for changes")
                await _until_lost(connection, stop)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            _LOG.warning("listening for changes failed; polling goes on", error=type(error).__name__)
        if stop.is_set():
            return
        pause = _SHORTEST_PAUSE if clock() - begun > _LONGEST_PAUSE else min(2 * pause, _LONGEST_PAUSE)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


@contextlib.asynccontextmanager
async def _listening(database: Database, heard: Heard) -> AsyncIterator[Any]:
    _, arguments = database.writer.dialect.create_connect_args(database.url)
    shown = {"application_name": LISTENER}
    connection = await asyncpg.connect(**{**arguments, "timeout": _CONNECT_SECONDS, "server_settings": shown})
    try:
        await connection.add_listener(_CHANNEL, lambda _connection, _process, _channel, chain: heard(chain))
        yield connection
    finally:
        connection.terminate()  # nothing is under way on it, and a server that is away would not say goodbye


async def _until_lost(connection: Any, stop: asyncio.Event) -> None:
    """Wait until the connection is lost or `stop` is set."""
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _connection: lost.set())
    waits = {asyncio.ensure_future(lost.wait()), asyncio.ensure_future(stop.wait())}
    try:
        while not (lost.is_set() or stop.is_set() or connection.is_closed()):
            done, _ = await asyncio.wait(waits, timeout=_PROBE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                await connection.execute("SELECT 1", timeout=_CONNECT_SECONDS)
    finally:
        for wait in waits:
            wait.cancel()
    if not stop.is_set():
        _LOG.warning("the connection that listens for changes was lost; polling goes on")
