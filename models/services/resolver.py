"""What beads and mayors run on right now: strict reads, and what they name, which never changes and is kept."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final, TypeVar

from models.domain.mayor import ModelPair, desired_pair
from models.domain.resolution import Resolution, Task, resolve
from models.store.kept import Kept
from models.store.queries import history, towns
from models.store.queries.history import MayorStanding
from models.store.strict import TownNow
from models.store.tables import CompiledSet, TableKey
from models.store.towns import RigRow, TownRow
from models.store.unit import Session, Store

T = TypeVar("T")


_task_of: Final = lru_cache(maxsize=4096)(Task.from_signature)  # many beads are of few kinds, in all towns

ResolutionKey = tuple[str, int, str]  # town, the version of its set, the task's signature


@dataclass(frozen=True, slots=True, kw_only=True)
class MayorNow:
    """A town, how its mayor stands, and what it should run on."""

    town: TownRow
    standing: MayorStanding
    pair: ModelPair


class Resolver:
    """One a process: what the rows of strict reads mean. `size` bounds how many resolutions and mayors it keeps.

    What is not kept is loaded first, which is waited for `seconds` at most. Loading raises `StorageUnavailableError`,
    and `TimeoutError`.
    """

    def __init__(self, store: Store, *, size: int, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._resolutions: Kept[ResolutionKey, Resolution] = Kept(size)
        self._rigs: Kept[tuple[str, str], RigRow] = Kept(size)  # those that are or were registered, which none unsays
        self._mayors: Kept[TownNow, MayorNow] = Kept(size)
        self.mayor = self._mayors.get

    def resolution(self, key: ResolutionKey) -> Resolution | None:
        """How a task resolves, if all that takes is kept."""
        found = self._resolutions.get(key)
        if found is None:
            town_id, version, signature = key
            compiled = self._store.tables.known((town_id, version))
            if compiled is not None:
                found = self._resolutions.keep(key, resolve(compiled.table, _task_of(signature)))
        return found

    def has_rig(self, town_id: str, rig_id: str | None) -> bool:
        """Whether a town is known to have or to have had a rig."""
        return rig_id is None or self._rigs.get((town_id, rig_id)) is not None

    async def load_rig(self, town_id: str, rig_id: str | None) -> None:
        """Have a town's rig kept, if it has it."""
        if rig_id is not None:
            found = await self._fetch(partial(towns.rigs, keys=[(town_id, rig_id)]))
            for key, row in found.items():
                self._rigs.keep(key, row)

    async def load_mayor(self, town_id: str) -> None:
        """Have a mayor kept as it stands by now, under what it is made of."""
        kept = self._store.rows.towns
        row = kept.get(town_id)
        if row is None:
            row = (await self._fetch(partial(towns.towns, town_ids=[town_id]))).get(town_id)
        standing = (await self._fetch(partial(history.mayors, town_ids=[town_id]))).get(town_id)
        if row is None or standing is None:
            return
        tables = await self.tables([(town_id, standing.version)])
        mayor = MayorNow(
            town=kept.keep(town_id, row),
            standing=standing,
            pair=desired_pair(tables[town_id, standing.version].table),
        )
        seen, signal = standing.observation, standing.signal
        key = (
            town_id,
            standing.version,
            0 if seen is None else seen.sequence,
            None if signal is None else signal.sequence,
        )
        self._mayors.keep(key, mayor)

    async def tables(self, keys: Iterable[TableKey]) -> Mapping[TableKey, CompiledSet]:
        """The compiled sets of versions that are known to exist, which are kept from now on."""
        tables = self._store.tables
        found = {key: tables.known(key) for key in keys}
        if None in found.values():
            return await self._fetch(lambda session: tables.get(session, found))
        return {key: compiled for key, compiled in found.items() if compiled is not None}

    async def _fetch(self, query: Callable[[Session], Awaitable[T]]) -> T:
        async with asyncio.timeout(self._seconds):
            return await self._store.fetch(query)
