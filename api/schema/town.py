"""Towns, rigs and beads."""

from datetime import datetime

import strawberry

from api.schema.actors import Actor
from api.schema.connections import Connection, Node, connection, filter_name, read_global_id
from api.schema.context import Context, Info
from api.schema.fields import field
from api.schema.history import AuditEntry, AuditFilter, entries_of
from api.schema.mayor import Mayor, mayor_of
from api.schema.policy import OverrideSet, Profile, ProfileVersion, override_set_of
from api.schema.resolution import (
    AsOf,
    BeadResolution,
    Resolution,
    TaskInput,
    compiled_set,
    resolve_bead,
    resolve_bead_as_of,
    resolve_beads,
    resolve_default,
    resolve_task,
    standing_as_of,
    version_in_force,
)
from api.schema.rules import ConfigWarning, EffectiveRule
from api.schema.scalars import ModelId
from models.domain import checks
from models.domain.errors import refuse_if_any
from models.domain.vocabulary import BeadStatus, BeadType, Role
from models.domain.warnings import config_warnings
from models.store import mapping
from models.store.queries import history, policies, towns
from models.store.queries.towns import BeadQuery
from models.store.tables import CompiledSet
from models.store.towns import BeadRevisionRow, BeadRow, RigRow, TownRow


@strawberry.input(description="labels: any of them. roles: the effective role. What is left out does not narrow.")
class BeadFilter:
    rig_id: strawberry.ID | None = None
    types: list[BeadType] | None = None
    statuses: list[BeadStatus] | None = None
    labels: list[str] | None = None
    roles: list[Role] | None = None
    title_contains: str | None = None

    def query(self) -> BeadQuery:
        """What to list. Raises `Refused` for text that no database could hold."""
        refuse_if_any(
            [
                *checks.search_problems(self.rig_id, "filter", "rigId"),
                *checks.search_problems(self.title_contains, "filter", "titleContains"),
                *(
                    problem
                    for index, label in enumerate(self.labels or [])
                    for problem in checks.search_problems(label, "filter", "labels", str(index))
                ),
            ]
        )
        return BeadQuery(
            rig_id=self.rig_id,
            types=self.types,
            statuses=self.statuses,
            labels=self.labels,
            roles=self.roles,
            title_contains=self.title_contains,
        )


@strawberry.type(description="One Gastown installation.")
class Town(Node):
    row: strawberry.Private[TownRow]

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

    @field
    async def override_set(self, info: Info) -> OverrideSet:
        """The override set in force."""
        version = await version_in_force(info.context, self.row.town_id)
        return await override_set_of(info.context, self.row.town_id, version)

    @field
    async def override_set_at(self, info: Info, as_of: AsOf) -> OverrideSet | None:
        """The set that was in force at a version or an instant; null and an error NOT_FOUND where there was none."""
        version, _ = await standing_as_of(info.context, self.row.town_id, as_of)
        return await override_set_of(info.context, self.row.town_id, version)

    @field
    async def override_sets(
        self, info: Info, first: int | None = 50, after: str | None = None
    ) -> Connection[OverrideSet]:
        """Newest first."""
        town_id = self.row.town_id
        return await connection(
            info.context.store,
            lambda session, wanted: policies.override_sets_page(session, town_id, wanted),
            list_name=filter_name("override sets", town_id),
            key=lambda row: row.version,
            node=lambda row: OverrideSet(row=row),
            first=first,
            after=after,
        )

    @field
    async def effective_rules(self, info: Info) -> list[EffectiveRule]:
        """Profile and overrides laid over each other: the table a bead is resolved from, most specific first."""
        compiled = await self._in_force(info.context)
        return [EffectiveRule(effective=rule) for rule in compiled.override_set.effective_rules()]

    @field
    async def warnings(self, info: Info) -> list[ConfigWarning]:
        """What its owner should know about the set in force."""
        return await warnings_of(info.context, await self._in_force(info.context))

    @field
    async def mayor(self, info: Info) -> Mayor:
        return await mayor_of(info.context, self.row.town_id)

    @field
    async def default_resolution(self, info: Info) -> Resolution:
        """The dispatch-agnostic default: no role, no task."""
        return await resolve_default(info.context, self.row.town_id)

    @field
    async def rigs(self, info: Info) -> list["Rig"]:
        """By id, removed ones too."""
        rows = await info.context.loaders.rigs.load(self.row.town_id)
        return [Rig(row=row) for row in rows or []]

    @field
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
            info.context.store,
            lambda session, wanted: towns.beads_page(session, town_id, query, wanted),
            list_name=filter_name("beads", town_id, query),
            key=lambda row: row.bead_id,
            node=lambda row: Bead(row=row),
            first=first,
            after=after,
        )

    @field
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


@strawberry.type(description="One repository that a town works on.")
class Rig(Node):
    row: strawberry.Private[RigRow]

    def node_key(self) -> tuple[str | int, ...]:
        return (self.row.town_id, self.row.rig_id)

    @field
    def rig_id(self) -> strawberry.ID:
        return strawberry.ID(self.row.rig_id)

    @field
    def name(self) -> str:
        return self.row.name

    @field
    async def town(self, info: Info) -> Town:
        return await town_of(info.context, self.row.town_id)

    @field
    def removed_at(self) -> datetime | None:
        return self.row.removed_at


@strawberry.type(description="A bead as it stood from `at` until the next revision.")
class BeadRevision:
    row: strawberry.Private[BeadRevisionRow]

    @field
    def revision(self) -> int:
        return self.row.revision

    @field
    def at(self) -> datetime:
        return self.row.at

    @field
    def actor(self) -> Actor:
        return Actor(actor=self.row.actor_id, person=self.row.on_behalf_of)

    @field
    def type(self) -> BeadType:
        return self.row.type

    @field
    def status(self) -> BeadStatus:
        return self.row.status

    @field
    def labels(self) -> list[str]:
        return mapping.labels_of(self.row)

    @field
    def role(self) -> Role | None:
        return self.row.role

    @field
    def rig_id(self) -> strawberry.ID | None:
        return None if self.row.rig_id is None else strawberry.ID(self.row.rig_id)

    @field
    def model(self) -> ModelId | None:
        return None if self.row.model is None else ModelId(self.row.model)


@strawberry.type(description="One unit of work.")
class Bead(Node):
    row: strawberry.Private[BeadRow]

    def node_key(self) -> tuple[str | int, ...]:
        return (self.row.bead_id,)

    @field
    def bead_id(self) -> strawberry.ID:
        return strawberry.ID(self.row.bead_id)

    @field
    async def town(self, info: Info) -> Town:
        return await town_of(info.context, self.row.town_id)

    @field
    async def rig(self, info: Info) -> Rig | None:
        if self.row.rig_id is None:
            return None
        row = await info.context.loaders.rig.load((self.row.town_id, self.row.rig_id))
        return None if row is None else Rig(row=row)

    @field
    def type(self) -> BeadType:
        return self.row.type

    @field
    def status(self) -> BeadStatus:
        return self.row.status

    @field
    def title(self) -> str:
        return self.row.title

    @field
    def labels(self) -> list[str]:
        """All labels as the host sent them, unknown ones too."""
        return mapping.labels_of(self.row)

    @field
    def role(self) -> Role | None:
        """The role the host says; null where it is derived."""
        return self.row.role

    @field
    def model(self) -> ModelId | None:
        """The model asked for when the bead was slung."""
        return None if self.row.model is None else ModelId(self.row.model)

    @field
    def updated_at(self) -> datetime:
        return self.row.updated_at

    @field
    async def resolution(self, info: Info, as_of: AsOf | None = None) -> Resolution | None:
        """As it stands now, or as of then. Null and an error NOT_FOUND where the bead did not exist yet."""
        if as_of is None:
            return await resolve_bead(info.context, self.row.bead_id)
        return await resolve_bead_as_of(info.context, self.row.bead_id, as_of)

    @field
    async def revisions(self, info: Info, first: int | None = 50, after: str | None = None) -> Connection[BeadRevision]:
        """Every state it has had that counts for resolution, newest first."""
        town_id, bead_id = self.row.town_id, self.row.bead_id
        return await connection(
            info.context.store,
            lambda session, wanted: towns.revisions_page(session, town_id, bead_id, wanted),
            list_name=filter_name("revisions", town_id, bead_id),
            key=lambda row: row.revision,
            node=lambda row: BeadRevision(row=row),
            first=first,
            after=after,
        )


async def town_of(context: Context, town_id: str) -> Town:
    """A town that is known to exist."""
    row = await context.loaders.town.load(town_id)
    if row is None:
        raise LookupError(f"town {town_id} is not stored")
    return Town(row=row)


async def bead_of(context: Context, bead_id: str) -> Bead:
    """A bead that is known to exist."""
    row = await context.loaders.bead.load(bead_id)
    if row is None:
        raise LookupError(f"bead {bead_id} is not stored")
    return Bead(row=row)


@strawberry.type
class TownQuery:
    @field
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:  # noqa: A002  # Relay's word
        """Anything that has a global id; null where there is nothing behind it."""
        return await find_node(info.context, id)

    @field
    async def town(self, info: Info, town_id: strawberry.ID) -> Town | None:
        row = await info.context.loaders.town.load(town_id)
        return None if row is None else Town(row=row)

    @field
    async def towns(
        self, info: Info, name_contains: str | None = None, first: int | None = 50, after: str | None = None
    ) -> Connection[Town]:
        """By id."""
        refuse_if_any(checks.search_problems(name_contains, "nameContains"))
        return await connection(
            info.context.store,
            lambda session, wanted: towns.towns_page(session, name_contains=name_contains, wanted=wanted),
            list_name=filter_name("towns", name_contains),
            key=lambda row: row.town_id,
            node=lambda row: Town(row=row),
            first=first,
            after=after,
        )

    @field
    async def bead(self, info: Info, bead_id: strawberry.ID) -> Bead | None:
        row = await info.context.loaders.bead.load(bead_id)
        return None if row is None else Bead(row=row)

    @field
    async def resolution(self, info: Info, bead_id: strawberry.ID, as_of: AsOf | None = None) -> Resolution | None:
        """The model a bead runs on, and why. An error with extensions.code NOT_FOUND where there is no such bead."""
        if as_of is None:
            return await resolve_bead(info.context, bead_id)
        return await resolve_bead_as_of(info.context, bead_id, as_of)

    @field
    async def resolutions(self, info: Info, bead_ids: list[strawberry.ID]) -> list[BeadResolution]:
        """In the order asked, from one snapshot; over 1000 ids is an error TOO_MANY."""
        return await resolve_beads(info.context, bead_ids)

    @field
    async def task_resolution(
        self, info: Info, town_id: strawberry.ID, task: TaskInput, as_of: AsOf | None = None
    ) -> Resolution | None:
        """How a described piece of work would resolve. The rig has to be one that the town has or had."""
        return await resolve_task(info.context, town_id, task, as_of)


async def find_node(context: Context, node_id: str) -> Node | None:  # noqa: PLR0911  # one a type
    """What a global id stands for; None where it stands for nothing."""
    match read_global_id(node_id):
        case ("Town", [str(town_id)]):
            town = await context.loaders.town.load(town_id)
            return None if town is None else Town(row=town)
        case ("Rig", [str(town_id), str(rig_id)]):
            rig = await context.loaders.rig.load((town_id, rig_id))
            return None if rig is None else Rig(row=rig)
        case ("Bead", [str(bead_id)]):
            bead = await context.loaders.bead.load(bead_id)
            return None if bead is None else Bead(row=bead)
        case ("Profile", [str(owner), str(name)]):
            profile = await context.loaders.profile.load((owner, name))
            return None if profile is None else Profile(row=profile)
        case ("ProfileVersion", [str(owner), str(name), int(version)]):
            profile_version = await context.loaders.profile_version.load((owner, name, version))
            return None if profile_version is None else ProfileVersion(row=profile_version)
        case ("OverrideSet", [str(town_id), int(version)]):
            override_set = await context.loaders.override_set.load((town_id, version))
            return None if override_set is None else OverrideSet(row=override_set)
        case ("AuditEntry", [str(chain), int(sequence)]):
            async with context.store.read() as session:
                entry = await history.entry(session, chain, sequence)
            return None if entry is None else AuditEntry(row=entry)
        case _:
            return None
