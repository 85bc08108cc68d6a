"""Values by their keys, read in batches: each read serves all who asked before it began."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class Batches(Generic[K, V]):
    """Asks `read` for the values of at most `most` keys at once, and for each key one time.

    A read begins once those have run that are ready to, and those that they make ready: so fields that are resolved at
    the same time share it. Where it fails, all whom it should have served are told. Who gives up does so for nobody
    else. What is `known` by a key is told at once, unless it is None.
    """

    __slots__ = ("_asked", "_known", "_most", "_read", "_tasks", "_waiting")

    def __init__(
        self,
        read: Callable[[list[K]], Awaitable[Sequence[V]]],
        *,
        most: int,
        known: Callable[[K], V | None] = lambda _: None,
    ) -> None:
        self._read = read
        self._known = known
        self._most = most
        self._asked: dict[K, asyncio.Future[V]] = {}
        self._waiting: list[K] = []
        self._tasks: set[asyncio.Task[None]] = set()  # which the event loop would let go

    def load(self, key: K) -> asyncio.Future[V]:
        """What `read` gives for a key."""
        return _own(self._told(key))

    async def load_many(self, keys: Iterable[K]) -> list[V]:
        """The same for several keys, in their order."""
        told: asyncio.Future[list[V]] = asyncio.gather(*map(self._told, keys))
        return await _own(told)

    def _told(self, key: K) -> asyncio.Future[V]:
        """What is told the value; shared by all who ask."""
        found = self._asked.get(key)
        if found is None:
            loop = asyncio.get_running_loop()
            found = self._asked[key] = loop.create_future()
            known = self._known(key)
            if known is not None:
                found.set_result(known)
                return found
            if not self._waiting:
                loop.call_soon(self._begin)
            self._waiting.append(key)
        return found

    def _begin(self) -> None:
        task = asyncio.get_running_loop().create_task(self._serve())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        keys, self._waiting = self._waiting, []
        try:
            for start in range(0, len(keys), self._most):
                await self._serve_some(keys[start : start + self._most])
        finally:
            for key in keys:
                self._asked[key].cancel()  # where it is given up before it is told

    async def _serve_some(self, keys: list[K]) -> None:
        waiting = [self._asked[key] for key in keys]
        try:
            told = list(zip(waiting, await self._read(keys), strict=True))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told to those who wait
            for each in waiting:
                each.set_exception(error)
        else:
            for each, value in told:
                each.set_result(value)


def _own(shared: asyncio.Future[T]) -> asyncio.Future[T]:
    """An asker's own future of what is shared, so that who gives it up does so for nobody else."""
    shared.add_done_callback(_heard)
    return asyncio.shield(shared)


def _heard(shared: asyncio.Future[T]) -> None:
    """An error counts as told, also where all have gone whom it concerned."""
    if not shared.cancelled():
        shared.exception()
