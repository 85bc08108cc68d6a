"""Towns."""

from datetime import datetime
from operator import attrgetter

import strawberry

from api.schema.bead import Bead, BeadFilter, Rig
from api.schema.connections import Connection, Node, connection, filter_name
from api.schema.context import Context, Info
from api.schema.fields import field, field_for, field_read_by
from api.schema.history import AuditEntry, AuditFilter, entries_of
from api.schema.mayor import Mayor, mayor_of
from api.schema.override_set import OverrideSet, override_set_of
from api.schema.resolution import (
    AsOf,
    Resolution,
    compiled_set,
    resolve_default,
    standing_as_of,
    version_in_force,
)
from api.schema.rules import ConfigWarning, EffectiveRule
from models.domain.permissions import AUDIT, READ
from models.domain.warnings import config_warnings
from models.store.queries import policies, towns
from models.store.tables import CompiledSet
from models.store.towns import TownRow


@strawberry.type(description="One Gastown installation.")
class Town(Node):
    row: strawberry.Private[TownRow]
    mayor_at_hand: strawberry.Private[Mayor | None] = None

    def node_key(self) -> tuple[str | int, ...]:
        return (self.row.town_id,)

    @field
    def town_id(self) -> strawberry.ID:
        return strawberry.ID(self.row.town_id)

    @field
    def name(self) -> str:
        return self.row.name

    @field
    def created_at(self) -> datetime:
        return self.row.created_at

    @field_for(READ)
    async def override_set(self, info: Info) -> OverrideSet:
        """The override set in force."""
        version = await version_in_force(info.context, self.row.town_id)
        return await override_set_of(info.context, self.row.town_id, version)

    @field_for(READ)
    async def override_set_at(self, info: Info, as_of: AsOf) -> OverrideSet | None:
        """The set that was in force at a version or an instant; null and an error NOT_FOUND where there was none."""
        version, _ = await standing_as_of(info.context, self.row.town_id, as_of)
        return await override_set_of(info.context, self.row.town_id, version)

    @field_for(READ)
    async def override_sets(
        self, info: Info, first: int | None = 50, after: str | None = None
    ) -> Connection[OverrideSet]:
        """Newest first."""
        town_id = self.row.town_id
        return await connection(
            info.context.store.fetch,
            lambda session, wanted: policies.override_sets_page(session, town_id, wanted),
            list_name=filter_name("override sets", town_id),
            key=lambda row: row.version,
            key_type=int,
            node=lambda row: OverrideSet(row=row),
            first=first,
            after=after,
        )

    @field_for(READ)
    async def effective_rules(self, info: Info) -> list[EffectiveRule]:
        """Profile and overrides laid over each other: the table a bead is resolved from, most specific first."""
        compiled = await self._in_force(info.context)
        return [EffectiveRule(effective=rule) for rule in compiled.effective_rules]

    @field_for(READ)
    async def warnings(self, info: Info) -> list[ConfigWarning]:
        """What its owner should know about the set in force."""
        return await warnings_of(info.context, await self._in_force(info.context))

    @field_read_by(attrgetter("mayor_at_hand"))
    async def mayor(self, info: Info) -> Mayor:
        return await mayor_of(info.context, self.row.town_id)

    @field
    async def default_resolution(self, info: Info) -> Resolution:
        """The dispatch-agnostic default: no role, no task."""
        return await resolve_default(info.context, self.row.town_id)

    @field_for(READ)
    async def rigs(self, info: Info) -> list["Rig"]:
        """By id, removed ones too."""
        rows = await info.context.loaders.rigs.load(self.row.town_id)
        return [Rig(row=row) for row in rows or []]

    @field_for(READ)
    async def beads(
        self,
        info: Info,
        filter: BeadFilter | None = None,  # noqa: A002  # the contract's word
        first: int | None = 50,
        after: str | None = None,
    ) -> Connection["Bead"]:
        """By id."""
        town_id, query = self.row.town_id, (filter or BeadFilter()).query()
        return await connection(
            info.context.store.search,
            lambda session, wanted: towns.beads_page(session, town_id, query, wanted),
            list_name=filter_name("beads", town_id, query),
            key=lambda row: row.bead_id,
            key_type=str,
            node=lambda row: Bead(row=row),
            first=first,
            after=after,
        )

    @field_for(AUDIT)
    async def audit_entries(
        self,
        info: Info,
        filter: AuditFilter | None = None,  # noqa: A002  # the contract's word
        first: int | None = 50,
        after: str | None = None,
    ) -> Connection[AuditEntry]:
        """Newest first."""
        return await entries_of(info.context, self.row.town_id, filter, first, after)

    async def _in_force(self, context: Context) -> CompiledSet:
        version = await version_in_force(context, self.row.town_id)
        return await compiled_set(context, self.row.town_id, version)


async def warnings_of(context: Context, compiled: CompiledSet) -> list[ConfigWarning]:
    rigs = await context.loaders.rigs.load(compiled.override_set.town_id)
    models = await context.loaders.model.load_many(sorted(compiled.override_set.models))
    deprecated = {row.model_id for row in models if row is not None and row.deprecated_at is not None}
    there = {row.rig_id for row in rigs or [] if row.removed_at is None}
    found = config_warnings(compiled.override_set, rigs=there, deprecated=deprecated)
    return [ConfigWarning(warning=warning) for warning in found]


async def town_of(context: Context, town_id: str) -> Town:
    """A town that is known to exist."""
    row = await context.loaders.town.load(town_id)
    if row is None:
        raise LookupError(f"town {town_id} is not stored")
    return Town(row=row)
