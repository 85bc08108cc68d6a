"""What commands share that are at a database, and show what they found."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from rich.console import Console
from rich.text import Text

from api.settings import Settings
from api.storage import open_store
from models.store.engine import UnusableDatabaseUrlError
from models.store.migrations import is_current
from models.store.unit import Store

T = TypeVar("T")

_PIPED_WIDTH: Final = 200


def with_store(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """What `work` gives for the store of the settings, in an event loop of its own."""

    async def run() -> T:
        store = open_store(settings)
        try:
            return await work(store)
        finally:
            await store.dispose()

    return asyncio.run(run())


async def migrated(store: Store, work: Callable[[Store], Awaitable[T]]) -> T:
    """What `work` gives, once it is sure that the database is at the newest migration."""
    if not await is_current(store.database):
        raise UnusableDatabaseUrlError("the database is not at the newest migration: run townclerk migrate")
    return await work(store)


def console() -> Console:
    """Where tables go: as wide as the terminal, and of one width where there is none."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def shown(text: str) -> Text:
    """Text of someone else's for a terminal: no markup is read in it, and what would steer the terminal is spelled."""
    return Text("".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text))


def first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
