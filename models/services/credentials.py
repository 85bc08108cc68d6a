"""Which tokens are worth something, as the database has it, remembered for less than a second."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from models.domain.tokens import Grant, Scope, Token, is_expired
from models.store.access import TokenRow
from models.store.mapping import texts_of
from models.store.queries import tokens
from models.store.strict import StrictReads
from models.store.unit import StorageUnavailableError, Store, WriteUnit

FRESH_SECONDS: Final = 0.4  # what is revoked has to be worth nothing within a second
_READ_SECONDS: Final = 60.0  # after which a token that is in use is read anew, also to note its use
_COARSE: Final = timedelta(minutes=5)
_LOG: Final = structlog.get_logger("townclerk.tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whoever holds a token that was not revoked when it was looked up."""

    token_id: str
    actor_id: str
    grant: Grant
    secret_hash: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Looking:
    task: asyncio.Task[Holder | None]
    since: float


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A holder, when the token's row was read, and when it was last seen not to be revoked."""

    holder: Holder
    read_at: float
    looked_up_at: float


class TokenBook:
    """One a process. `size` bounds how many tokens it remembers; `monotonic` is a clock in seconds."""

    def __init__(
        self, store: Store, strict: StrictReads, *, size: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._strict = strict
        self._size = size
        self._monotonic = monotonic
        self._remembered: dict[str, _Remembered] = {}  # those looked up longest ago first
        self._spellings: dict[bytes, str] = {}  # marks of what tokens were spelled as -> their ids
        self._looking: dict[str, _Looking] = {}
        self._watched: dict[str, set[asyncio.Event]] = {}
        self._noting: dict[str, asyncio.Task[None]] = {}

    async def holder(self, token: Token) -> Holder | None:
        """Whoever holds `token`; None where it is worth nothing, for whatever reason.

        Raises `StorageUnavailableError`.
        """
        return self._if_good(await self._looked_up(token.token_id), token)

    def learn(self, mark: bytes, token_id: str) -> None:
        """Take note that the spelling of that mark has just been found to be the whole of a token."""
        self._spellings[mark] = token_id
        if len(self._spellings) > self._size:
            del self._spellings[next(iter(self._spellings))]

    def remembered(self, mark: bytes) -> Holder | None:
        """Whoever holds the token whose spelling has that mark, as far as it can be told without asking the database.

        One that is in use is looked up again before it has to be, so that nobody has to wait for that.
        """
        found = self._remembered.get(self._spellings.get(mark, ""))
        if found is None:
            return None
        holder = found.holder
        age = self._monotonic() - found.looked_up_at
        if age > FRESH_SECONDS or (holder.expires_at and is_expired(holder.expires_at, self._store.clock())):
            return None
        if age > FRESH_SECONDS / 2:
            self._look(holder.token_id)
        return holder

    def has_known(self, token: Token) -> bool:
        """Whether it was worth something when it was last looked up, however long ago that was."""
        found = self._remembered.get(token.token_id)
        return found is not None and token.has(found.holder.secret_hash)

    def _if_good(self, holder: Holder | None, token: Token) -> Holder | None:
        if holder is None or not token.has(holder.secret_hash) or is_expired(holder.expires_at, self._store.clock()):
            return None
        return holder

    async def _looked_up(self, token_id: str) -> Holder | None:
        """What the database has, or had a moment ago."""
        found = self._remembered.get(token_id)
        if found is not None and self._monotonic() - found.looked_up_at <= FRESH_SECONDS:
            return found.holder
        return await asyncio.shield(self._look(token_id))

    def _look(self, token_id: str) -> asyncio.Task[Holder | None]:
        """Ask the database, once for all who want to know at the same time."""
        now = self._monotonic()
        looking = self._looking.get(token_id)
        if looking is None or now - looking.since > FRESH_SECONDS:
            looking = self._looking[token_id] = _Looking(asyncio.create_task(self._look_up(token_id, now)), now)
            looking.task.add_done_callback(partial(self._looked, token_id, looking))
        return looking.task

    def _looked(self, token_id: str, looking: _Looking, task: asyncio.Task[Holder | None]) -> None:
        if self._looking.get(token_id) is looking:
            del self._looking[token_id]
        if not task.cancelled():
            task.exception()  # which whoever still waits is told

    async def _look_up(self, token_id: str, now: float) -> Holder | None:
        found = self._remembered.get(token_id)
        if found is None or now - found.read_at > _READ_SECONDS or not await self._is_still_good(token_id):
            row = await self._store.fetch(partial(tokens.token, token_id=token_id))
            if row is None or row.revoked_at is not None:
                self._remembered.pop(token_id, None)
                return None
            self._note_use(row)
            found = _Remembered(_holder(row), read_at=now, looked_up_at=now)
        self._remembered.pop(token_id, None)
        self._remembered[token_id] = replace(found, looked_up_at=now)
        if len(self._remembered) > self._size:
            del self._remembered[next(iter(self._remembered))]
        return found.holder

    async def _is_still_good(self, token_id: str) -> bool:
        """Whether it is surely not revoked: all else about a token stays as it was made."""
        try:
            return bool(await self._strict.tokens([token_id]))
        except StorageUnavailableError:
            return False

    # ---- last use

    def _note_use(self, row: TokenRow) -> None:
        """Take down that a token is in use, unless that was done lately. Nobody waits for it."""
        now = self._store.clock()
        if row.last_used_at is not None and now - row.last_used_at < _COARSE:
            return
        if row.token_id in self._noting:
            return

        async def work(unit: WriteUnit) -> None:
            await tokens.note_use(unit.session, row.token_id, now, unless_after=now - _COARSE)

        async def note() -> None:
            try:
                await self._store.write(work)
            except StorageUnavailableError:
                _LOG.warning("last use not noted", token_id=row.token_id)

        task = self._noting[row.token_id] = asyncio.create_task(note())
        task.add_done_callback(lambda _: self._noting.pop(row.token_id))

    # ---- those that are in use for long

    @contextmanager
    def watched(self, token_id: str) -> Iterator[asyncio.Event]:
        """An event that is set soon after the token was revoked."""
        over = asyncio.Event()
        self._watched.setdefault(token_id, set()).add(over)
        try:
            yield over
        finally:
            watchers = self._watched.get(token_id, set())
            watchers.discard(over)
            if not watchers:
                self._watched.pop(token_id, None)

    async def run(self, stop: asyncio.Event) -> None:
        """Look after the tokens that are watched, until `stop` is set."""
        while not stop.is_set():
            try:
                await self._look_after_watched()
            except StorageUnavailableError:
                pass  # nothing is to be had by anyone meanwhile
            except Exception:  # noqa: BLE001  # nothing may end the watch; the log tells
                _LOG.exception("tokens could not be looked after; trying again")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FRESH_SECONDS)
        await asyncio.gather(*self._noting.values(), return_exceptions=True)

    async def close(self) -> None:
        """Give the connections back."""
        await self._strict.close()
        await self._store.dispose()

    async def _look_after_watched(self) -> None:
        watched = list(self._watched)
        if not watched:
            return
        valid = await self._store.fetch(partial(tokens.not_revoked, token_ids=watched))
        for token_id in set(watched) - valid:
            for over in self._watched.get(token_id, ()):
                over.set()


def mark_of(spelling: bytes) -> bytes:
    """What the spelling of a token is known by: secrets are not kept."""
    return hashlib.blake2b(spelling, digest_size=32).digest()


def _holder(row: TokenRow) -> Holder:
    return Holder(
        token_id=row.token_id,
        actor_id=row.actor_id,
        grant=Grant(
            scopes=frozenset(map(Scope, texts_of(row.scopes))),
            towns=None if row.towns is None else frozenset(texts_of(row.towns)),
            may_act_for=row.may_act_for,
        ),
        secret_hash=row.secret_hash,
        expires_at=row.expires_at,
    )
