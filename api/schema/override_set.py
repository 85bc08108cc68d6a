"""A town's override sets."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.schema.actors import Actor
from api.schema.changes import ChangeDetection, ModelCount, detection_of, spread_of
from api.schema.connections import Node
from api.schema.context import Context, Info
from api.schema.fields import field, field_named
from api.schema.profile import Profile, ProfileVersion, profile_of, profile_version_of
from api.schema.resolution import compiled_set
from api.schema.rules import EffectiveRule, Override, RuleChange, rule_change_list
from models.domain.changes import rule_changes
from models.domain.errors import NotFound, Refused
from models.domain.vocabulary import OverrideSetCause
from models.store.policies import OverrideSetRow

if TYPE_CHECKING:
    from api.schema.town import Town

LazyTown = Annotated["Town", strawberry.lazy("api.schema.town")]


strawberry.enum(OverrideSetCause)


@strawberry.type
class OverrideSetDiff:
    before: strawberry.Private[OverrideSetRow]
    after: strawberry.Private[OverrideSetRow]
    changes: list[RuleChange]

    @field_named("from")
    def from_version(self) -> int:
        return self.before.version

    @field_named("to")
    def to_version(self) -> int:
        return self.after.version

    @field
    def profile_before(self) -> str:
        return self.before.profile_name

    @field
    def profile_after(self) -> str:
        return self.after.profile_name

    @field
    def profile_version_before(self) -> int:
        return self.before.profile_version

    @field
    def profile_version_after(self) -> int:
        return self.after.profile_version

    @field
    def honor_bead_models_before(self) -> bool:
        return self.before.honor_bead_models

    @field
    def honor_bead_models_after(self) -> bool:
        return self.after.honor_bead_models


@strawberry.type(description="An immutable, numbered version of a town's choices.")
class OverrideSet(Node):
    row: strawberry.Private[OverrideSetRow]

    def node_key(self) -> tuple[str | int, ...]:
        return (self.row.town_id, self.row.version)

    @field
    async def town(self, info: Info) -> LazyTown:
        from api.schema.town import town_of  # noqa: PLC0415  # the two modules name each other's types

        return await town_of(info.context, self.row.town_id)

    @field
    def version(self) -> int:
        return self.row.version

    @field
    async def profile(self, info: Info) -> Profile:
        return await profile_of(info.context, self.row.profile_owner, self.row.profile_name)

    @field
    async def profile_version(self, info: Info) -> ProfileVersion:
        """The version of the profile that this set is laid over."""
        row = self.row
        return await profile_version_of(info.context, row.profile_owner, row.profile_name, row.profile_version)

    @field
    def honor_bead_models(self) -> bool:
        """Whether a bead's own model wins for polecat and refinery."""
        return self.row.honor_bead_models

    @field
    async def overrides(self, info: Info) -> list[Override]:
        """Most specific first."""
        compiled = await compiled_set(info.context, self.row.town_id, self.row.version)
        now = compiled.override_set.profile.models_by_key
        return [
            Override(rule=override.rule, override=override, model_now=now.get(override.rule.key))
            for override in compiled.override_set.overrides
        ]

    @field
    def reason(self) -> str | None:
        return self.row.reason

    @field
    def created_by(self) -> Actor:
        return Actor(actor=self.row.actor_id, person=self.row.on_behalf_of)

    @field
    def created_at(self) -> datetime:
        """When it came into force."""
        return self.row.created_at

    @field
    def content_hash(self) -> str:
        """SHA-256 of the canonical content, hex: profile, its version, the flag, and the keys with their models."""
        return self.row.content_hash

    @field
    def cause(self) -> OverrideSetCause:
        return self.row.cause

    @field
    def revert_of(self) -> int | None:
        """The version this one brought back, where the cause is REVERTED."""
        return self.row.revert_of

    @field
    async def diff(self, info: Info, against: int | None = None) -> OverrideSetDiff:
        """Against the version before, unless another is named; version 1 against itself. `changes`: overrides only."""
        other = max(self.row.version - 1, 1) if against is None else against
        before = await info.context.loaders.override_set.load((self.row.town_id, other))
        if before is None:
            raise Refused(NotFound(kind="version", name=str(other), path=("against",)))
        old = await compiled_set(info.context, self.row.town_id, other)
        new = await compiled_set(info.context, self.row.town_id, self.row.version)
        changes = rule_changes(old.override_set.models_by_key, new.override_set.models_by_key)
        return OverrideSetDiff(before=before, after=self.row, changes=rule_change_list(changes))

    @field
    async def effective_rules(self, info: Info) -> list[EffectiveRule]:
        """The whole table that a bead is resolved from under this set, most specific first."""
        compiled = await compiled_set(info.context, self.row.town_id, self.row.version)
        return [EffectiveRule(effective=rule) for rule in compiled.effective_rules]

    @field
    async def change_detection(self, info: Info) -> ChangeDetection | None:
        """Against the version before, over the beads as they stood when it came into force; null for version 1."""
        return await detection_of(info.context, self.row)

    @field
    async def model_spread(self, info: Info) -> list[ModelCount]:
        """Active beads by model, as they stood when it came into force; the most used model first."""
        return await spread_of(info.context, self.row)


async def override_set_of(context: Context, town_id: str, version: int) -> OverrideSet:
    """A version that is known to exist."""
    row = await context.loaders.override_set.load((town_id, version))
    if row is None:
        raise LookupError(f"override set {version} of town {town_id} is not stored")
    return OverrideSet(row=row)
