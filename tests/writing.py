"""Writes to a town through the service's own functions, without HTTP between: many, and soon."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from models.domain.mayor import ModelPair
from models.domain.tokens import EVERYTHING
from models.domain.vocabulary import Actor
from models.services.history import Caller
from models.services.mayor import detect_mayor_change
from models.store.engine import open_database
from models.store.queries import feeds
from models.store.unit import Store

_CALLER = Caller(
    actor=Actor(actor_id="writer"),
    display_name="writer",
    credential_id=None,
    request_id="writing",
    grant=EVERYTHING,
)


class Writer:
    """A process of the same town hall: what it writes, other processes see in the database alone."""

    def __init__(self, runner: asyncio.Runner, store: Store) -> None:
        self._runner = runner
        self.store = store
        self._numbers = count(1)

    def write(self, town_id: str, entries: int) -> None:
        """Write `entries` audit entries, a transaction each."""

        async def work() -> None:
            for number in [next(self._numbers) for _ in range(entries)]:
                observed = ModelPair(model=f"seen/model-{number}", small_model="seen/small")
                await detect_mayor_change(self.store, _CALLER, town_id, observed)

        self._runner.run(work())

    def head(self, town_id: str) -> int:
        """The sequence of the town's last entry."""

        async def work() -> int:
            async with self.store.read() as session:
                return (await feeds.sequences(session, [town_id]))[town_id]

        return self._runner.run(work())


@contextmanager
def writing(url: str) -> Iterator[Writer]:
    with asyncio.Runner() as runner:
        writer = Writer(runner, Store(database=open_database(url)))
        try:
            yield writer
        finally:
            runner.run(writer.store.dispose())
