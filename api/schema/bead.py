"""Rigs and beads: where work is done, and the work."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.schema.actors import Actor
from api.schema.connections import Connection, Node, connection, filter_name
from api.schema.context import Context, Info
from api.schema.fields import field, field_for
from api.schema.resolution import AsOf, Resolution, resolve_bead, resolve_bead_as_of
from api.schema.scalars import ModelId
from models.domain import checks
from models.domain.errors import refuse_if_any
from models.domain.permissions import READ
from models.domain.vocabulary import BeadStatus, BeadType, Role
from models.store import mapping
from models.store.queries import towns
from models.store.queries.towns import BeadQuery
from models.store.towns import BeadRevisionRow, BeadRow, RigRow

if TYPE_CHECKING:
    from api.schema.town import Town

LazyTown = Annotated["Town", strawberry.lazy("api.schema.town")]


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
                *checks.list_problems(self.types, "types", "filter", "types"),
                *checks.list_problems(self.statuses, "statuses", "filter", "statuses"),
                *checks.list_problems(self.labels, "labels", "filter", "labels"),
                *checks.list_problems(self.roles, "roles", "filter", "roles"),
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
    async def town(self, info: Info) -> LazyTown:
        from api.schema.town import town_of  # noqa: PLC0415  # the two modules name each other's types

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
    async def town(self, info: Info) -> LazyTown:
        from api.schema.town import town_of  # noqa: PLC0415  # the two modules name each other's types

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

    @field_for(READ)
    async def revisions(self, info: Info, first: int | None = 50, after: str | None = None) -> Connection[BeadRevision]:
        """Every state it has had that counts for resolution, newest first."""
        town_id, bead_id = self.row.town_id, self.row.bead_id
        return await connection(
            info.context.store.fetch,
            lambda session, wanted: towns.revisions_page(session, town_id, bead_id, wanted),
            list_name=filter_name("revisions", town_id, bead_id),
            key=lambda row: row.revision,
            key_type=int,
            node=lambda row: BeadRevision(row=row),
            first=first,
            after=after,
        )


async def bead_of(context: Context, bead_id: str) -> Bead:
    """A bead that is known to exist."""
    row = await context.loaders.bead.load(bead_id)
    if row is None:
        raise LookupError(f"bead {bead_id} is not stored")
    return Bead(row=row)
