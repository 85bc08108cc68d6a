"""Who did it."""

from typing import Final

import strawberry

from api.schema.context import Info
from api.schema.fields import field

_ERASED: Final = "(erased)"


@strawberry.type(description="Who did it: an API token's principal, or the person a trusted client acted for.")
class Actor:
    actor: strawberry.Private[str]
    person: strawberry.Private[str | None] = None

    @field
    def actor_id(self) -> strawberry.ID:
        return strawberry.ID(self.actor)

    @field
    async def display_name(self, info: Info) -> str:
        """The name; the id where none is known, and (erased) where it was erased."""
        return await name_of(info, self.actor)

    @field
    async def on_behalf_of(self, info: Info) -> str | None:
        """The person it was done for, where a trusted client said so."""
        return None if self.person is None else await name_of(info, self.person)


async def name_of(info: Info, actor_id: str) -> str:
    """The name of an actor, as far as it may be known."""
    row = await info.context.loaders.actor.load(actor_id)
    if row is None:
        return actor_id
    return _ERASED if row.forgotten_at is not None else row.display_name or actor_id
