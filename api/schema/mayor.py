"""The mayor: what it should run on, what it was seen to run on, and whether it must restart."""

from datetime import datetime

import strawberry

from api.schema.connections import Connection, connection, filter_name
from api.schema.context import Context, Info
from api.schema.fields import field, mutation
from api.schema.problems import UserError, answers, user_errors
from api.schema.resolution import compiled_set
from api.schema.scalars import ModelId
from models.domain.errors import Refused
from models.domain.mayor import ModelPair as DomainPair
from models.domain.mayor import SignalCause, SignalClosure, desired_pair
from models.domain.permissions import REPORT
from models.services.mayor import detect_mayor_change
from models.store import mapping
from models.store.mayor import MayorSignalRow
from models.store.queries import history
from models.store.queries.history import MayorStanding

strawberry.enum(SignalCause)
strawberry.enum(SignalClosure)


@strawberry.type
class ModelPair:
    pair: strawberry.Private[DomainPair]

    @field
    def model(self) -> ModelId:
        return ModelId(self.pair.model)

    @field
    def small_model(self) -> ModelId:
        return ModelId(self.pair.small_model)

    @field
    def fingerprint(self) -> str:
        """SHA-256 over model and small model: equal fingerprints start byte-identical sessions."""
        return self.pair.fingerprint


@strawberry.type(description="That the mayor must restart, since what it should run on is not what it runs on.")
class MayorRestartSignal:
    row: strawberry.Private[MayorSignalRow]

    @field
    def town_id(self) -> strawberry.ID:
        return strawberry.ID(self.row.town_id)

    @field
    def sequence(self) -> int:
        """Gapless within the town."""
        return self.row.sequence

    @field
    def before(self) -> ModelPair:
        """The pair observed last, or the one desired before where none was observed yet."""
        return ModelPair(pair=mapping.signal_pairs(self.row)[0])

    @field
    def after(self) -> ModelPair:
        return ModelPair(pair=mapping.signal_pairs(self.row)[1])

    @field
    def cause(self) -> SignalCause:
        return self.row.cause

    @field
    def override_set_version(self) -> int:
        """The override set in force when it was raised."""
        return self.row.override_set_version

    @field
    def raised_at(self) -> datetime:
        return self.row.raised_at

    @field
    def closed_at(self) -> datetime | None:
        return self.row.closed_at

    @field
    def closed_because(self) -> SignalClosure | None:
        return self.row.closed_because


@strawberry.type(description="A town's mayor, all of it from one snapshot.")
class Mayor:
    town: strawberry.Private[str]
    standing: strawberry.Private[MayorStanding]
    pair: strawberry.Private[DomainPair]

    @field
    def desired(self) -> ModelPair:
        """What the mayor should run on, resolved now. Prewarm and dispatch both read this."""
        return ModelPair(pair=self.pair)

    @field
    def observed(self) -> ModelPair | None:
        """What the host last said the mayor runs on; null until it has said so."""
        seen = self.standing.observation
        return None if seen is None else ModelPair(pair=mapping.observed_pair(seen))

    @field
    def observed_at(self) -> datetime | None:
        return None if self.standing.observation is None else self.standing.observation.observed_at

    @field
    def restart_required(self) -> bool:
        """A signal is open."""
        return self.standing.signal is not None

    @field
    def signal(self) -> MayorRestartSignal | None:
        """The open signal, if any."""
        return None if self.standing.signal is None else MayorRestartSignal(row=self.standing.signal)

    @field
    async def signals(
        self, info: Info, first: int | None = 50, after: str | None = None
    ) -> Connection[MayorRestartSignal]:
        """Newest first, closed ones too."""
        return await connection(
            info.context.store.fetch,
            lambda session, wanted: history.signals_page(session, self.town, wanted),
            list_name=filter_name("signals", self.town),
            key=lambda row: row.sequence,
            key_type=int,
            node=lambda row: MayorRestartSignal(row=row),
            first=first,
            after=after,
        )

    @field
    def override_set_version(self) -> int:
        """While this is unchanged, a prewarmed and a dispatched session start from the same bytes."""
        return self.standing.version


async def mayor_of(context: Context, town_id: str) -> Mayor:
    """The mayor of a town that is known to exist."""
    standing = await context.loaders.mayor.load(town_id)
    if standing is None:
        raise LookupError(f"town {town_id} has no head")
    compiled = await compiled_set(context, town_id, standing.version)
    return Mayor(town=town_id, standing=standing, pair=desired_pair(compiled.table))


@strawberry.input
class ModelPairInput:
    model: str
    small_model: str


@strawberry.input
class DetectMayorChangeInput:
    town_id: strawberry.ID
    observed: ModelPairInput


@strawberry.type
class DetectMayorChangePayload:
    restart_required: bool | None = None
    mayor: Mayor | None = None
    user_errors: list[UserError] = strawberry.field(default_factory=list)

    @classmethod
    def refused(cls, refused: Refused) -> "DetectMayorChangePayload":
        return cls(user_errors=user_errors(refused))


@strawberry.type
class MayorMutation:
    @mutation(REPORT)
    @answers(DetectMayorChangePayload)
    async def detect_mayor_change(self, info: Info, input: DetectMayorChangeInput) -> DetectMayorChangePayload:  # noqa: A002  # Relay's word
        """Tell what the mayor runs on; hear whether it must restart. Closes the open signal when they match."""
        context = info.context
        try:
            observed = DomainPair(model=input.observed.model, small_model=input.observed.small_model)
        except Refused as refused:
            raise Refused(problem.under("observed") for problem in refused.problems) from refused
        await detect_mayor_change(context.store, await context.caller(), input.town_id, observed)
        context.wrote()
        mayor = await mayor_of(context, input.town_id)
        return DetectMayorChangePayload(restart_required=mayor.standing.signal is not None, mayor=mayor)
