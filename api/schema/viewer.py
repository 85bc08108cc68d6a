"""Who asks, so that a frontend knows what to offer."""

from datetime import datetime

import strawberry

from api.schema.actors import Actor, name_of
from api.schema.context import Info
from api.schema.fields import field, field_for
from models.domain.permissions import ANYTHING
from models.domain.tokens import Scope
from models.services.access import Asker, actor_known

strawberry.enum(Scope, description="What a credential is for. Those of a credential add up.")


@strawberry.type(description="Whoever sends the request, by its credential.")
class Viewer:
    asker: strawberry.Private[Asker]

    @field
    async def actor(self, info: Info) -> Actor | None:
        """Whose name changes go by; null for someone who signed in elsewhere and has changed nothing yet."""
        asker, store = self.asker, info.context.store
        actor_id = asker.actor_id or await actor_known(store, asker.name or "")
        if actor_id is None:
            return None
        person = None if asker.person is None else await actor_known(store, asker.person)
        return Actor(actor=actor_id, person=person)

    @field
    async def name(self, info: Info) -> str:
        """What to call whoever it is."""
        return self.asker.name or await name_of(info, self.asker.actor_id or "")

    @field
    def scopes(self) -> list[Scope]:
        return sorted(self.asker.grant.scopes)

    @field
    def towns(self) -> list[strawberry.ID] | None:
        """The ids of the towns that the credential is for; null for all."""
        towns = self.asker.grant.towns
        return None if towns is None else [strawberry.ID(town_id) for town_id in sorted(towns)]

    @field
    def acts_for(self) -> str | None:
        """The person that the request says it is sent for."""
        return self.asker.person

    @field
    def may_act_for(self) -> bool:
        """Whether the credential may name a person it acts for, in X-On-Behalf-Of."""
        return self.asker.grant.may_act_for

    @field
    def expires_at(self) -> datetime | None:
        """From when on the credential is worth nothing; null where it lasts."""
        return self.asker.expires_at


@strawberry.type
class ViewerQuery:
    @field_for(ANYTHING)
    def viewer(self, info: Info) -> Viewer:
        """Whoever sends the request."""
        return Viewer(asker=info.context.asker)
