"""The label and model catalogues, profiles and their versions."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.schema.actors import Actor
from api.schema.connections import Connection, Node, connection, filter_name
from api.schema.context import Context, Info
from api.schema.fields import field, field_for
from api.schema.rules import Rule, RuleChange, rule_change_list
from api.schema.scalars import Label, ModelId
from models.domain.audit import CENTRAL_CHAIN
from models.domain.changes import rule_changes
from models.domain.errors import NotFound, Refused
from models.domain.permissions import READ
from models.domain.profiles import ProfileTable, is_own
from models.domain.vocabulary import LABELS
from models.services.profiles import profile_owner
from models.store.policies import ModelRow, ProfileRow, ProfileVersionRow
from models.store.queries import policies

if TYPE_CHECKING:
    from api.schema.town import Town

LazyTown = Annotated["Town", strawberry.lazy("api.schema.town")]


@strawberry.type(description="A label that rules may name; a lower precedence wins where two rules tie.")
class LabelInfo:
    name: Label
    description: str
    precedence: int


@strawberry.type
class Model:
    row: strawberry.Private[ModelRow]

    @field
    def model_id(self) -> ModelId:
        return ModelId(self.row.model_id)

    @field
    def display_name(self) -> str:
        return self.row.display_name

    @field
    def deprecated_at(self) -> datetime | None:
        return self.row.deprecated_at

    @field
    def replaced_by(self) -> ModelId | None:
        """The model to use instead of a deprecated one."""
        return None if self.row.replaced_by is None else ModelId(self.row.replaced_by)


@strawberry.type(description="A named table of rules with a small model, kept for many towns or owned by one.")
class Profile(Node):
    row: strawberry.Private[ProfileRow]

    def node_key(self) -> tuple[str | int, ...]:
        return (self.row.owner, self.row.name)

    @field
    def name(self) -> str:
        return self.row.name

    @field
    def title(self) -> str:
        return self.row.title

    @field
    async def town(self, info: Info) -> LazyTown | None:
        """Null for a central profile; else the one town that owns it."""
        from api.schema.town import town_of  # noqa: PLC0415  # the two modules name each other's types

        return None if self.row.owner == CENTRAL_CHAIN else await town_of(info.context, self.row.owner)

    @field
    async def current(self, info: Info) -> "ProfileVersion":
        """The latest version."""
        return await profile_version_of(info.context, self.row.owner, self.row.name, self.row.version)

    @field
    async def version(self, info: Info, number: int) -> "ProfileVersion | None":
        row = await info.context.loaders.profile_version.load((self.row.owner, self.row.name, number))
        return None if row is None else ProfileVersion(row=row)

    @field
    async def versions(
        self, info: Info, first: int | None = 50, after: str | None = None
    ) -> Connection["ProfileVersion"]:
        """Newest first."""
        owner, name = self.row.owner, self.row.name
        return await connection(
            info.context.store.fetch,
            lambda session, wanted: policies.profile_versions_page(session, owner, name, wanted),
            list_name=filter_name("profile versions", owner, name),
            key=lambda row: row.version,
            key_type=int,
            node=lambda row: ProfileVersion(row=row),
            first=first,
            after=after,
        )


@strawberry.type(description="One version of a profile. Never edited.")
class ProfileVersion(Node):
    row: strawberry.Private[ProfileVersionRow]

    def node_key(self) -> tuple[str | int, ...]:
        return (self.row.owner, self.row.name, self.row.version)

    @field
    async def profile(self, info: Info) -> Profile:
        return await profile_of(info.context, self.row.owner, self.row.name)

    @field
    def version(self) -> int:
        return self.row.version

    @field
    def small_model(self) -> ModelId:
        return ModelId(self.row.small_model)

    @field
    async def rules(self, info: Info) -> list[Rule]:
        """Most specific first."""
        table = await self._table(info.context, self.row.version)
        return [] if table is None else [Rule(rule=rule) for rule in table.rules]

    @field
    def reason(self) -> str | None:
        return self.row.reason

    @field
    def published_by(self) -> Actor:
        return Actor(actor=self.row.actor_id, person=self.row.on_behalf_of)

    @field
    def published_at(self) -> datetime:
        return self.row.published_at

    @field
    async def diff(self, info: Info, against: int | None = None) -> list[RuleChange]:
        """Against the version before, unless another is named; version 1 stands against nothing."""
        other = self.row.version - 1 if against is None else against
        before = None if other == 0 else await self._table(info.context, other)
        if before is None and other != 0:
            raise Refused(NotFound(kind="version", name=str(other), path=("against",)))
        after = await self._table(info.context, self.row.version)
        return rule_change_list(
            rule_changes({} if before is None else before.models_by_key, {} if after is None else after.models_by_key)
        )

    @field
    async def towns_following(self, info: Info) -> int:
        """Towns whose current override set follows this profile."""
        return sum((await self._followers(info.context)).values())

    @field
    async def towns_due(self, info: Info) -> int:
        """Those of the following towns that still lie over an older version than this."""
        followers = await self._followers(info.context)
        return sum(count for version, count in followers.items() if version < self.row.version)

    async def _table(self, context: Context, version: int) -> ProfileTable | None:
        return await context.loaders.profile_table.load((self.row.owner, self.row.name, version))

    async def _followers(self, context: Context) -> dict[int, int]:
        return await context.loaders.followers.load((self.row.owner, self.row.name)) or {}


async def profile_of(context: Context, owner: str, name: str) -> Profile:
    """A profile that is known to exist."""
    row = await context.loaders.profile.load((owner, name))
    if row is None:
        raise LookupError(f"profile {name} of {owner} is not stored")
    return Profile(row=row)


async def profile_version_of(context: Context, owner: str, name: str, version: int) -> ProfileVersion:
    """A profile version that is known to exist."""
    row = await context.loaders.profile_version.load((owner, name, version))
    if row is None:
        raise LookupError(f"version {version} of profile {name} of {owner} is not stored")
    return ProfileVersion(row=row)


@strawberry.type
class CatalogueQuery:
    @field_for(READ)
    async def profile(self, info: Info, name: str, town_id: strawberry.ID | None = None) -> Profile | None:
        """A central profile, or one of the town's own."""
        if is_own(name) and town_id is None:
            return None
        row = await info.context.loaders.profile.load((profile_owner(town_id or "", name), name))
        return None if row is None else Profile(row=row)

    @field_for(READ)
    async def profiles(self, info: Info, town_id: strawberry.ID | None = None) -> list[Profile]:
        """Central profiles, and those of the town where one is named."""
        owners = [CENTRAL_CHAIN]
        if town_id is not None:
            if await info.context.loaders.town.load(town_id) is None:
                raise Refused(NotFound(kind="town", name=town_id, path=("townId",)))
            owners.append(town_id)
        rows = await info.context.store.fetch(lambda session: policies.profiles_of(session, owners))
        return [Profile(row=row) for row in rows]

    @field_for(READ)
    def labels(self, info: Info) -> list[LabelInfo]:  # noqa: ARG002  # it tells whose request it is
        """The label catalogue, in order of precedence."""
        return [
            LabelInfo(name=Label(label.name), description=label.description, precedence=label.precedence)
            for label in LABELS
        ]

    @field_for(READ)
    async def models(self, info: Info, include_deprecated: bool = False) -> list[Model]:  # noqa: FBT001, FBT002  # a GraphQL argument
        """The model catalogue, by id."""
        rows = await info.context.store.fetch(
            lambda session: policies.models(session, include_deprecated=include_deprecated)
        )
        return [Model(row=row) for row in rows]
