"""What a publish changed, or would change: the mayor's pair and the active beads."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.schema.connections import Connection, connection, filter_name
from api.schema.context import Context, Info
from api.schema.fields import field
from api.schema.mayor import MayorRestartSignal, ModelPair
from api.schema.resolution import Resolution, compiled_set
from api.schema.scalars import ModelId
from models.domain.changes import spread
from models.domain.mayor import desired_pair
from models.domain.resolution import resolve
from models.services.changes import ChangedBeads, Move, changed_beads
from models.store import mapping
from models.store.mayor import MayorSignalRow
from models.store.policies import OverrideSetRow
from models.store.queries import towns
from models.store.towns import BeadRevisionRow, BeadRow

if TYPE_CHECKING:
    from api.schema.bead import Bead


@strawberry.type(description="A bead that resolves differently: another model, small model, matched key or source.")
class BeadChange:
    row: strawberry.Private[BeadRow | BeadRevisionRow]
    move: strawberry.Private[Move]

    @field
    async def bead(self, info: Info) -> Annotated["Bead", strawberry.lazy("api.schema.bead")]:
        from api.schema.bead import bead_of  # noqa: PLC0415  # the two modules name each other's types

        return await bead_of(info.context, self.row.bead_id)

    @field
    def before(self) -> Resolution:
        resolved = resolve(self.move.before, mapping.task_of(self.row))
        return Resolution(resolved=resolved, bead=self.row.bead_id)

    @field
    def after(self) -> Resolution:
        resolved = resolve(self.move.after, mapping.task_of(self.row))
        return Resolution(resolved=resolved, bead=self.row.bead_id)


@strawberry.type
class ChangeDetection:
    """From one table to another. The count and the pages of changed beads share one look at the town's beads."""

    move: strawberry.Private[Move]
    list_name: strawberry.Private[str]
    restart_required: strawberry.Private[bool]
    raised: strawberry.Private[MayorSignalRow | None] = None
    found: strawberry.Private["asyncio.Task[ChangedBeads] | None"] = None

    @field
    def mayor_changed(self) -> bool:
        """The mayor's desired pair moved."""
        return desired_pair(self.move.before) != desired_pair(self.move.after)

    @field
    def mayor_restart_required(self) -> bool:
        """Mayor.restartRequired once this is in force."""
        return self.restart_required

    @field
    def mayor_before(self) -> ModelPair:
        return ModelPair(pair=desired_pair(self.move.before))

    @field
    def mayor_after(self) -> ModelPair:
        return ModelPair(pair=desired_pair(self.move.after))

    @field
    def signal(self) -> MayorRestartSignal | None:
        """The restart signal that this raised, if it did."""
        return None if self.raised is None else MayorRestartSignal(row=self.raised)

    @field
    async def changed_bead_count(self, info: Info) -> int:
        """Beads open, in progress or in review whose model, small model, or matched rule (key or source) changed."""
        return (await self._changed(info.context)).count

    @field
    async def changed_beads(
        self, info: Info, first: int | None = 50, after: str | None = None
    ) -> Connection[BeadChange]:
        """Those beads, by id."""
        changed, move = await self._changed(info.context), self.move
        return await connection(
            info.context.store.search,
            lambda session, wanted: towns.active_beads_page(session, move.town_id, changed.signatures, move.at, wanted),
            list_name=self.list_name,
            key=lambda row: row.bead_id,
            key_type=str,
            node=lambda row: BeadChange(row=row, move=move),
            first=first,
            after=after,
        )

    async def _changed(self, context: Context) -> ChangedBeads:
        if self.found is None:
            self.found = asyncio.create_task(_look(context, self.move))
        return await self.found


async def _look(context: Context, move: Move) -> ChangedBeads:
    return await context.store.search(lambda session: changed_beads(session, move))


@strawberry.type
class ModelCount:
    model: ModelId
    beads: int


async def detection_of(context: Context, row: OverrideSetRow) -> ChangeDetection | None:
    """What a stored set changed against the one before; None for version 1."""
    if row.version == 1:
        return None
    before = await compiled_set(context, row.town_id, row.version - 1)
    after = await compiled_set(context, row.town_id, row.version)
    signals = await context.loaders.signals_at.load((row.town_id, row.created_at))
    return ChangeDetection(
        move=Move(before=before.table, after=after.table, at=row.created_at),
        list_name=filter_name("changed beads", row.town_id, row.version),
        restart_required=signals is not None and signals.any_open,
        raised=None if signals is None else signals.raised,
    )


async def spread_of(context: Context, row: OverrideSetRow) -> list[ModelCount]:
    compiled = await compiled_set(context, row.town_id, row.version)
    signatures = await context.store.search(
        lambda session: towns.active_signatures(session, row.town_id, row.created_at)
    )
    counts = spread(compiled.table, signatures)
    return [ModelCount(model=ModelId(model), beads=beads) for model, beads in counts.items()]
