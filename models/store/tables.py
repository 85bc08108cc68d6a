"""Override sets read back whole and compiled, kept for as long as there is room: a version never changes."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.overrides import OverrideSet
from models.domain.profiles import ProfileTable
from models.domain.resolution import Table, compile_table
from models.store import mapping
from models.store.queries import policies

TableKey = tuple[str, int]
ProfileKey = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledSet:
    """An override set with the table made of it. `profile_owner` says whose profile it lies over."""

    profile_owner: str
    override_set: OverrideSet
    table: Table


class TableCache:
    """Compiled sets by (town id, version), the least recently used dropped first. Nothing in it can go stale."""

    def __init__(self, max_tables: int = 4096) -> None:
        self._max_tables = max_tables
        self._kept: OrderedDict[TableKey, CompiledSet] = OrderedDict()

    async def get(self, session: AsyncSession, keys: Iterable[TableKey]) -> dict[TableKey, CompiledSet]:
        """The compiled sets of `keys`; those that no row tells of are left out."""
        found: dict[TableKey, CompiledSet] = {}
        missing: list[TableKey] = []
        for key in dict.fromkeys(keys):
            compiled = self.known(key)
            if compiled is None:
                missing.append(key)
            else:
                found[key] = compiled
        if missing:
            loaded = await _load(session, missing)
            found.update(loaded)
            self.keep(loaded)
        return found

    def known(self, key: TableKey) -> CompiledSet | None:
        """What is kept of a version."""
        compiled = self._kept.get(key)
        if compiled is not None:
            self._kept.move_to_end(key)
        return compiled

    async def one(self, session: AsyncSession, town_id: str, version: int) -> CompiledSet:
        """The compiled set of a version that is known to exist."""
        return (await self.get(session, [(town_id, version)]))[town_id, version]

    def keep(self, loaded: Mapping[TableKey, CompiledSet]) -> None:
        """Keep sets that are committed."""
        self._kept.update(loaded)
        while len(self._kept) > self._max_tables:
            self._kept.popitem(last=False)


async def _load(session: AsyncSession, keys: list[TableKey]) -> dict[TableKey, CompiledSet]:
    rows = await policies.override_sets(session, keys)
    overrides = await policies.overrides(session, keys)
    profiles = await profile_tables(
        session, {(row.profile_owner, row.profile_name, row.profile_version) for row in rows.values()}
    )
    compiled = {}
    for key, row in rows.items():
        profile = profiles[row.profile_owner, row.profile_name, row.profile_version]
        override_set = mapping.override_set(row, overrides.get(key, []), profile)
        compiled[key] = CompiledSet(
            profile_owner=row.profile_owner, override_set=override_set, table=compile_table(override_set)
        )
    return compiled


async def profile_tables(session: AsyncSession, keys: Iterable[ProfileKey]) -> dict[ProfileKey, ProfileTable]:
    """The profile versions of `keys` (owner, name, version) with their rules."""
    wanted = list(keys)
    versions = await policies.profile_versions(session, wanted)
    rules = await policies.profile_rules(session, wanted)
    return {key: mapping.profile_table(row, rules.get(key, [])) for key, row in versions.items()}
