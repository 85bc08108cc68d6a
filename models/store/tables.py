"""Override sets read back whole and compiled, kept for as long as there is room: a version never changes."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.overrides import EffectiveRule, OverrideSet
from models.domain.profiles import ProfileTable
from models.domain.resolution import Table, compile_table
from models.store import mapping
from models.store.policies import OverrideSetRow
from models.store.queries import policies

TableKey = tuple[str, int]
ProfileKey = tuple[str, str, int]


@dataclass(frozen=True, kw_only=True)
class CompiledSet:
    """An override set with what is made of it once it is asked for. `profile_owner` says whose profile it lies over."""

    profile_owner: str
    override_set: OverrideSet

    @cached_property
    def table(self) -> Table:
        return compile_table(self.override_set)

    @cached_property
    def effective_rules(self) -> tuple[EffectiveRule, ...]:
        """As the override set has them, which are laid over each other anew whenever it is asked."""
        return self.override_set.effective_rules()


class TableCache:
    """Compiled sets by (town id, version), the least recently used dropped first. Nothing in it can go stale."""

    def __init__(self, max_tables: int = 16_384) -> None:
        self._max_tables = max_tables
        self._kept: OrderedDict[TableKey, CompiledSet] = OrderedDict()
        self._profiles: OrderedDict[ProfileKey, ProfileTable] = OrderedDict()

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
            loaded = await self._load(session, missing)
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
        key = (town_id, version)
        return self.known(key) or (await self.get(session, [key]))[key]

    async def _load(self, session: AsyncSession, keys: list[TableKey]) -> dict[TableKey, CompiledSet]:
        rows = await policies.override_sets(session, keys)
        overrides = await policies.overrides(session, keys)
        profiles = await self._profile_tables(session, rows.values())
        compiled = {}
        for key, row in rows.items():
            override_set = mapping.override_set(row, overrides.get(key, []), profiles[_profile_key(row)])
            compiled[key] = CompiledSet(profile_owner=row.profile_owner, override_set=override_set)
        return compiled

    async def _profile_tables(
        self, session: AsyncSession, rows: Iterable[OverrideSetRow]
    ) -> dict[ProfileKey, ProfileTable]:
        """The profile versions that sets lie over: one of each, however many sets do."""
        keys = {_profile_key(row) for row in rows}
        missing = keys - self._profiles.keys()
        found = {key: self._profiles[key] for key in keys - missing}
        if missing:
            found |= await profile_tables(session, missing)
            self._profiles.update(found)
            while len(self._profiles) > self._max_tables:
                self._profiles.popitem(last=False)
        return found

    def keep(self, loaded: Mapping[TableKey, CompiledSet]) -> None:
        """Keep sets that are committed."""
        self._kept.update(loaded)
        while len(self._kept) > self._max_tables:
            self._kept.popitem(last=False)


def _profile_key(row: OverrideSetRow) -> ProfileKey:
    return (row.profile_owner, row.profile_name, row.profile_version)


async def profile_tables(session: AsyncSession, keys: Iterable[ProfileKey]) -> dict[ProfileKey, ProfileTable]:
    """The profile versions of `keys` (owner, name, version) with their rules."""
    wanted = list(keys)
    versions = await policies.profile_versions(session, wanted)
    rules = await policies.profile_rules(session, wanted)
    return {key: mapping.profile_table(row, rules.get(key, [])) for key, row in versions.items()}
