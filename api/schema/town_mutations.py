"""Making and importing towns, registering rigs, syncing beads."""

import asyncio

import strawberry
from strawberry.scalars import JSON

from api.schema.bead import Bead, Rig, bead_of
from api.schema.context import Info
from api.schema.fields import mutation
from api.schema.problems import UserError, answers, user_errors
from api.schema.town import Town, town_of
from models.domain.errors import Refused
from models.domain.permissions import ADMINISTER, EDIT, REPORT
from models.domain.vocabulary import BeadStatus, BeadType, Role
from models.services import beads as bead_service
from models.services import towns as town_service
from models.services.beads import SyncedBead
from models.services.towns import NewRig, NewTown


@strawberry.input
class CreateTownInput:
    town_id: strawberry.ID
    name: str
    profile: str = "balanced"
    idempotency_key: str | None = None


@strawberry.input
class ImportRigInput:
    rig_id: strawberry.ID
    name: str
    config: JSON | None = None


@strawberry.input(
    description="What the host's town configuration says today; it is kept in a profile of the town's own."
)
class ImportTownInput:
    town_id: strawberry.ID
    name: str
    config: JSON
    rigs: list[ImportRigInput] = strawberry.field(default_factory=list)
    reason: str | None = None
    idempotency_key: str | None = None


@strawberry.input
class RegisterRigInput:
    town_id: strawberry.ID
    rig_id: strawberry.ID
    name: str


@strawberry.input
class RemoveRigInput:
    town_id: strawberry.ID
    rig_id: strawberry.ID


@strawberry.input(description="A bead's whole state: what is left out is not kept.")
class BeadInput:
    bead_id: strawberry.ID
    rig_id: strawberry.ID | None = None
    type: BeadType = BeadType.ISSUE
    status: BeadStatus = BeadStatus.OPEN
    title: str = ""
    labels: list[str] = strawberry.field(default_factory=list)
    role: Role | None = None
    model: str | None = None

    def synced(self) -> SyncedBead:
        return SyncedBead(
            bead_id=self.bead_id,
            rig_id=self.rig_id,
            type=self.type,
            status=self.status,
            title=self.title,
            labels=tuple(self.labels),
            role=self.role,
            model=self.model,
        )


@strawberry.input
class SyncBeadsInput:
    town_id: strawberry.ID
    beads: list[BeadInput]


@strawberry.type
class TownPayload:
    town: Town | None = None
    user_errors: list[UserError] = strawberry.field(default_factory=list)

    @classmethod
    def refused(cls, refused: Refused) -> "TownPayload":
        return cls(user_errors=user_errors(refused))


@strawberry.type
class ImportTownPayload:
    town: Town | None = None
    notes: list[str] = strawberry.field(
        default_factory=list, description="What was left out of the host's configuration, a sentence each."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list)

    @classmethod
    def refused(cls, refused: Refused) -> "ImportTownPayload":
        return cls(user_errors=user_errors(refused))


@strawberry.type
class RigPayload:
    rig: Rig | None = None
    user_errors: list[UserError] = strawberry.field(default_factory=list)

    @classmethod
    def refused(cls, refused: Refused) -> "RigPayload":
        return cls(user_errors=user_errors(refused))


@strawberry.type
class SyncBeadsPayload:
    synced: int = strawberry.field(default=0, description="How many beads now stand as sent, changed or not.")
    beads: list[Bead] = strawberry.field(default_factory=list)
    user_errors: list[UserError] = strawberry.field(default_factory=list)

    @classmethod
    def refused(cls, refused: Refused) -> "SyncBeadsPayload":
        return cls(user_errors=user_errors(refused))


@strawberry.type
class TownMutation:
    @mutation(ADMINISTER)
    @answers(TownPayload)
    async def create_town(self, info: Info, input: CreateTownInput) -> TownPayload:  # noqa: A002  # Relay's word
        """Make a town that follows a central profile; its override set gets version 1."""
        context = info.context
        new = NewTown(town_id=input.town_id, name=input.name, idempotency_key=input.idempotency_key)
        outcome = await town_service.create_town(context.store, await context.caller(), new, profile=input.profile)
        context.wrote()
        return TownPayload(town=await town_of(context, outcome.subject))

    @mutation(ADMINISTER)
    @answers(ImportTownPayload)
    async def import_town(self, info: Info, input: ImportTownInput) -> ImportTownPayload:  # noqa: A002  # Relay's word
        """Make a town out of a host's configuration: every role in every rig resolves to what the host resolves."""
        context = info.context
        outcome = await town_service.import_town(
            context.store,
            await context.caller(),
            NewTown(town_id=input.town_id, name=input.name, idempotency_key=input.idempotency_key),
            config=input.config,
            rigs=[NewRig(rig_id=rig.rig_id, name=rig.name, config=rig.config) for rig in input.rigs],
            reason=input.reason,
        )
        context.wrote()
        return ImportTownPayload(town=await town_of(context, outcome.subject), notes=list(outcome.notes))

    @mutation(REPORT)
    @answers(RigPayload)
    async def register_rig(self, info: Info, input: RegisterRigInput) -> RigPayload:  # noqa: A002  # Relay's word
        """Add a rig to a town, or bring a removed one back."""
        context = info.context
        new = NewRig(rig_id=input.rig_id, name=input.name)
        await town_service.register_rig(context.store, await context.caller(), input.town_id, new)
        return await _rig_payload(info, input.town_id, input.rig_id)

    @mutation(EDIT)
    @answers(RigPayload)
    async def remove_rig(self, info: Info, input: RemoveRigInput) -> RigPayload:  # noqa: A002  # Relay's word
        """Take a rig out of a town. Resolutions stay as they are; overrides that name the rig get a warning."""
        context = info.context
        await town_service.remove_rig(context.store, await context.caller(), input.town_id, input.rig_id)
        return await _rig_payload(info, input.town_id, input.rig_id)

    @mutation(REPORT)
    @answers(SyncBeadsPayload)
    async def sync_beads(self, info: Info, input: SyncBeadsInput) -> SyncBeadsPayload:  # noqa: A002  # Relay's word
        """Replace the whole state of each bead; all of them or none."""
        context = info.context
        beads = [bead.synced() for bead in input.beads]
        await bead_service.sync_beads(context.store, await context.caller(), input.town_id, beads)
        context.wrote()
        rows = await asyncio.gather(*(bead_of(context, bead.bead_id) for bead in beads))
        return SyncBeadsPayload(synced=len(rows), beads=list(rows))


async def _rig_payload(info: Info, town_id: str, rig_id: str) -> RigPayload:
    info.context.wrote()
    row = await info.context.loaders.rig.load((town_id, rig_id))
    return RigPayload(rig=None if row is None else Rig(row=row))
