"""What beads and mayors run on right now: strict reads, and what they name, which never changes and is kept."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from models.domain.mayor import ModelPair, desired_pair
from models.domain.resolution import Resolution, Task, resolve
from models.domain.vocabulary import is_id
from models.store.kept import Kept
from models.store.queries import history, towns
from models.store.queries.history import MayorStanding
from models.store.strict import BeadNow, StrictReads, TownNow
from models.store.tables import CompiledSet, TableKey
from models.store.towns import RigRow, TownRow
from models.store.unit import Session, Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class MayorNow:
    """A town, how its mayor stands, and what it should run on."""

    town: TownRow
    standing: MayorStanding
    pair: ModelPair


class Resolver:
    """One a process. `size` bounds how many resolutions, towns and mayors it keeps.

    What has to be read first to answer at all is waited for `seconds` at most. All raise `StorageUnavailableError`, and
    `TimeoutError`.
    """

    def __init__(self, store: Store, strict: StrictReads, *, size: int, seconds: float) -> None:
        self._store = store
        self._strict = strict
        self._seconds = seconds
        self._resolutions: Kept[tuple[str, int, str], Resolution] = Kept(size)
        self._towns: Kept[str, TownRow] = Kept(size)
        self._rigs: Kept[tuple[str, str], RigRow] = Kept(size)  # those that are or were registered, which none unsays
        self._mayors: Kept[TownNow, MayorNow] = Kept(size)

    async def bead(self, bead_id: str) -> Resolution | None:
        """How a bead resolves; None where there is no such bead."""
        rows = await self._strict.beads((bead_id,)) if is_id(bead_id) else ()
        for _, town_id, version, signature in rows:
            known = self._resolutions.get((town_id, version, signature))
            return known if known is not None else (await self._resolved(rows))[bead_id]
        return None

    async def beads(self, bead_ids: Sequence[str]) -> dict[str, Resolution]:
        """How beads resolve, all from one snapshot; those that there are not are left out."""
        ids = [bead_id for bead_id in bead_ids if is_id(bead_id)]
        rows = await self._strict.beads(ids) if ids else ()
        known = self._resolutions.get
        found: dict[str, Resolution] = {}
        for bead_id, town_id, version, signature in rows:
            resolution = known((town_id, version, signature))
            if resolution is None:
                return await self._resolved(rows)
            found[bead_id] = resolution
        return found

    async def task(self, town_id: str, task: Task) -> Resolution | None:
        """How a task resolves in a town; None where there is no such town, or it never had the task's rig."""
        rows = await self._strict.towns([town_id]) if is_id(town_id) else ()
        if not rows or not await self._has_rig(town_id, task.rig_id):
            return None
        [(_, version, _, _)] = rows
        resolution = self._resolutions.get((town_id, version, task.signature))
        if resolution is not None:
            return resolution
        tables = await self._tables([(town_id, version)])
        return self._resolve(tables[town_id, version], task.signature)

    async def mayor(self, town_id: str) -> MayorNow | None:
        """A town and its mayor; None where there is no such town."""
        rows = await self._strict.towns([town_id]) if is_id(town_id) else ()
        if not rows:
            return None
        [(_, version, observation, signal)] = rows
        return self._mayors.get((town_id, version, observation, signal)) or await self._loaded_mayor(town_id)

    async def _resolved(self, rows: Sequence[BeadNow]) -> dict[str, Resolution]:
        tables = await self._tables({(town_id, version) for _, town_id, version, _ in rows})
        return {
            bead_id: self._resolutions.get((town_id, version, signature))
            or self._resolve(tables[town_id, version], signature)
            for bead_id, town_id, version, signature in rows
        }

    def _resolve(self, compiled: CompiledSet, signature: str) -> Resolution:
        table = compiled.table
        resolution = resolve(table, Task.from_signature(signature))
        return self._resolutions.keep((table.town_id, table.version, signature), resolution)

    async def _tables(self, keys: Iterable[TableKey]) -> Mapping[TableKey, CompiledSet]:
        """The compiled sets of versions that are known to exist."""
        tables = self._store.tables
        found = {key: tables.known(key) for key in keys}
        if None in found.values():
            return await self._fetch(lambda session: tables.get(session, found))
        return {key: compiled for key, compiled in found.items() if compiled is not None}

    async def _has_rig(self, town_id: str, rig_id: str | None) -> bool:
        if rig_id is None or self._rigs.get((town_id, rig_id)) is not None:
            return True
        found = await self._fetch(partial(towns.rigs, keys=[(town_id, rig_id)]))
        for key, row in found.items():
            self._rigs.keep(key, row)
        return bool(found)

    async def _loaded_mayor(self, town_id: str) -> MayorNow | None:
        """A mayor as it stands by now, which is kept under what it was made of."""
        row = self._towns.get(town_id)
        if row is None:
            row = (await self._fetch(partial(towns.towns, town_ids=[town_id]))).get(town_id)
        standing = (await self._fetch(partial(history.mayors, town_ids=[town_id]))).get(town_id)
        if row is None or standing is None:
            return None
        tables = await self._tables([(town_id, standing.version)])
        mayor = MayorNow(
            town=self._towns.keep(town_id, row),
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
        return self._mayors.keep(key, mayor)

    async def _fetch(self, query: Callable[[Session], Awaitable[T]]) -> T:
        async with asyncio.timeout(self._seconds):
            return await self._store.fetch(query)
