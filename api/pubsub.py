"""What makes feeds move: one poll a process over all chains that someone listens to, and hints that hurry it.

A listener holds no queue, only how far its chain is known to have come: what there is to tell waits in the database.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Final

import structlog

from models.store.queries import feeds
from models.store.unit import StorageUnavailableError, Store
from models.store.wake import listen

_LOOK_SECONDS: Final = 10.0  # after which a database that says nothing is taken for gone
_LOG: Final = structlog.get_logger("townclerk.pubsub")


class EndedError(Exception):
    """A feed that the server ends although its chain goes on."""


class Listener:
    """A subscription's ear on one chain, None until it hears.

    `given` is the last sequence that is known to have been handed over, from which a client can resume; None where it
    can't resume by sequence.
    """

    def __init__(self, pubsub: "PubSub") -> None:
        self.chain: str | None = None
        self.given: int | None = None
        self.head = 0
        self._pubsub = pubsub
        self._left = False
        self._ended = False
        self._stirred = asyncio.Event()

    def hearing(self, chain: str) -> contextlib.AbstractContextManager[None]:
        """Hear how far `chain` comes, from the next look on: begin to hear, then read."""
        self.chain = chain
        return self._pubsub.hearing(chain, self)

    def moved_to(self, sequence: int) -> None:
        """The chain was seen to reach to `sequence`."""
        if sequence > self.head:
            self.head = sequence
            self._stirred.set()

    def read_to(self, sequence: int) -> None:
        """Nothing was found beyond `sequence`, whatever the head had said."""
        self.head = min(self.head, sequence)

    def leave(self) -> None:
        """The client wants no more: the feed ends in silence as soon as what is under way is done."""
        self._left = True
        self._stirred.set()

    def end(self) -> None:
        """The server goes away: the feed ends with an error that says how to resume."""
        self._ended = True
        self._stirred.set()

    @property
    def left(self) -> bool:
        """Whether the client wants no more. Raises `EndedError` where the server is what ends the feed."""
        if self._ended and not self._left:
            raise EndedError
        return self._left

    async def beyond(self, sequence: int) -> bool:
        """Wait until the chain goes beyond `sequence`; False where the client has left. Raises `EndedError`."""
        while not self.left and self.head <= sequence:
            self._stirred.clear()
            await self._stirred.wait()
        return not self.left


class PubSub:
    """One a process. `run` has to be under way for listeners to hear of anything."""

    def __init__(self, store: Store, *, poll_seconds: float) -> None:
        self.going_away = asyncio.Event()
        self._store = store
        self._poll_seconds = poll_seconds
        self._listeners: dict[str, set[Listener]] = {}
        self._hinted: set[str] = set()
        self._missed = False
        self._stirred = asyncio.Event()
        self._away = False
        store.after_commit.append(self._hint)

    def listener(self) -> Listener:
        """An ear for one operation."""
        return Listener(self)

    @contextlib.contextmanager
    def hearing(self, chain: str, listener: Listener) -> Iterator[None]:
        """Let `listener` hear how far `chain` comes. It is ended at once where the server is going away."""
        self._listeners.setdefault(chain, set()).add(listener)
        self._hint(frozenset({chain}))
        if self.going_away.is_set():
            listener.end()
        try:
            yield
        finally:
            listeners = self._listeners[chain]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[chain]

    def go_away(self) -> None:
        """End all feeds, those that are still to begin as well."""
        self.going_away.set()
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end()

    async def run(self, stop: asyncio.Event) -> None:
        """Poll, and listen to the hints of other processes, until `stop` is set."""
        working = [asyncio.create_task(self._poll(stop))]
        if not self._store.database.is_sqlite:
            working.append(asyncio.create_task(listen(self._store.database, self._heard, stop)))
        await stop.wait()
        self._stirred.set()
        await asyncio.gather(*working)

    def _hint(self, chains: frozenset[str]) -> None:
        watched = chains & self._listeners.keys()
        if watched:
            self._hinted |= watched
            self._stirred.set()

    def _heard(self, chain: str | None) -> None:
        if chain is not None:
            self._hint(frozenset({chain}))
        else:
            self._missed = True
            self._stirred.set()

    async def _poll(self, stop: asyncio.Event) -> None:
        """Look at the chains that were hinted at as they are, and at all of them at least every `poll_seconds`."""
        clock = asyncio.get_running_loop().time
        due = clock() + self._poll_seconds
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stirred.wait(), max(0.0, due - clock()))
            self._stirred.clear()
            chains = self._hinted & self._listeners.keys()
            self._hinted = set()
            if self._missed or clock() >= due:
                self._missed = False
                due = clock() + self._poll_seconds
                chains = set(self._listeners)
            if chains:
                await self._look(sorted(chains))

    async def _look(self, chains: list[str]) -> None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                heads = await self._store.search(partial(feeds.sequences, chains=chains))
        except (StorageUnavailableError, TimeoutError):
            if not self._away:
                _LOG.warning("feeds wait for the database")
            self._away = True
            return
        except Exception:  # noqa: BLE001  # nothing may end the poll; the log tells
            _LOG.exception("a look at the chains failed; trying again")
            return
        self._away = False
        for chain, sequence in heads.items():
            for listener in self._listeners.get(chain, ()):
                listener.moved_to(sequence)
