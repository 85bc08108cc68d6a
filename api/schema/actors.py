"""Who did it."""

import strawberry

from api.schema.context import Info
from api.schema.fields import field


@strawberry.type(description="Who did it: an API token's principal, or the person a trusted client acted for.")
class Actor:
    actor: strawberry.Private[str]
    person: strawberry.Private[str | None] = None

    @field
    def actor_id(self) -> strawberry.ID:
        return strawberry.ID(self.actor)

    @field
    async def display_name(self, info: Info) -> str:
        return await _name(info, self.actor)

    @field
    async def on_behalf_of(self, info: Info) -> str | None:
        """The person it was done for, where a trusted client said so."""
        return None if self.person is None else await _name(info, self.person)


async def _name(info: Info, actor_id: str) -> str:
    row = await info.context.loaders.actor.load(actor_id)
    return actor_id if row is None else row.display_name
