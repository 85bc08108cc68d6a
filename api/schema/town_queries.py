"""The roots of reading: towns, beads, resolutions, and whatever has a global id."""

import strawberry

from api.schema.bead import Bead, Rig
from api.schema.connections import Connection, Node, connection, filter_name, read_global_id
from api.schema.context import Context, Info
from api.schema.fields import field_for
from api.schema.history import AuditEntry
from api.schema.override_set import OverrideSet
from api.schema.profile import Profile, ProfileVersion
from api.schema.resolution import (
    AsOf,
    BeadResolution,
    Resolution,
    TaskInput,
    resolve_bead,
    resolve_bead_as_of,
    resolve_beads,
    resolve_task,
)
from api.schema.town import Town
from models.domain import checks
from models.domain.audit import CENTRAL_CHAIN
from models.domain.errors import refuse_if_any
from models.domain.permissions import AUDIT, AUDIT_CENTRE, READ, RESOLVE, require
from models.store.queries import history, towns


@strawberry.type
class TownQuery:
    @field_for(READ)
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:  # noqa: A002  # Relay's word
        """Anything that has a global id; null where there is nothing behind it."""
        return await find_node(info.context, id)

    @field_for(RESOLVE)
    async def town(self, info: Info, town_id: strawberry.ID) -> Town | None:
        row = await info.context.loaders.town.load(town_id)
        return None if row is None else Town(row=row)

    @field_for(READ)
    async def towns(
        self, info: Info, name_contains: str | None = None, first: int | None = 50, after: str | None = None
    ) -> Connection[Town]:
        """By id."""
        refuse_if_any(checks.search_problems(name_contains, "nameContains"))
        store, within = info.context.store, info.context.asker.grant.towns
        return await connection(
            store.fetch if name_contains is None and within is None else store.search,
            lambda session, wanted: towns.towns_page(
                session, name_contains=name_contains, within=within, wanted=wanted
            ),
            list_name=filter_name("towns", name_contains),
            key=lambda row: row.town_id,
            key_type=str,
            node=lambda row: Town(row=row),
            first=first,
            after=after,
        )

    @field_for(READ)
    async def bead(self, info: Info, bead_id: strawberry.ID) -> Bead | None:
        row = await info.context.loaders.bead.load(bead_id)
        return None if row is None else Bead(row=row)

    @field_for(RESOLVE)
    async def resolution(self, info: Info, bead_id: strawberry.ID, as_of: AsOf | None = None) -> Resolution | None:
        """The model a bead runs on, and why. An error with extensions.code NOT_FOUND where there is no such bead."""
        if as_of is None:
            return await resolve_bead(info.context, bead_id)
        return await resolve_bead_as_of(info.context, bead_id, as_of)

    @field_for(RESOLVE)
    async def resolutions(self, info: Info, bead_ids: list[strawberry.ID]) -> list[BeadResolution]:
        """In the order asked, from one snapshot; over 1000 ids is an error TOO_MANY."""
        return await resolve_beads(info.context, bead_ids)

    @field_for(RESOLVE)
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
            require(context.asker.grant, AUDIT_CENTRE if chain == CENTRAL_CHAIN else AUDIT)
            kept = context.asker.grant.concealed(chain)
            entry = await context.store.fetch(lambda session: history.entry(session, kept, sequence))
            return None if entry is None else AuditEntry(row=entry)
        case _:
            return None
