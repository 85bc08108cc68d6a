"""Who acts: the opaque ids of people, which the record holds in place of their names, and the actors that are nobody.

A name stands in one place, its row among the actors, so that it can be taken away without touching the record.
"""

from typing import Final

from models.domain.vocabulary import Actor
from models.services.history import Caller
from models.store.access import ActorRow
from models.store.queries import history
from models.store.unit import Store, WriteUnit
from models.store.upsert import insert_unless_there

INSTALLER: Final = "townclerk"
COMMAND_LINE: Final = "cli"
DEVELOPER: Final = "dev"
BUILT_IN: Final = {INSTALLER: "Townclerk", COMMAND_LINE: "Command line", DEVELOPER: "dev"}  # names by id
_BY_NAME: Final = {name: actor_id for actor_id, name in BUILT_IN.items()}


def built_in(actor_id: str, *, request_id: str) -> Caller:
    """One of the actors that are no person's, as the caller of a request."""
    return Caller(
        actor=Actor(actor_id=actor_id), display_name=BUILT_IN[actor_id], credential_id=None, request_id=request_id
    )


async def actor_named(store: Store, name: str) -> str:
    """The id of whoever goes by `name`; a new opaque one (``act_`` and 32 hex digits) where nobody does.

    Requests that bring a new name at once get the same id, in whatever process. Raises `StorageUnavailableError`.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    async with store.read() as session:
        known = await history.actor_named(session, name)

    async def work(unit: WriteUnit) -> str | None:
        made = ActorRow(actor_id=f"act_{store.new_id()}", display_name=name)
        if await insert_unless_there(unit.session, made):
            return made.actor_id
        return await history.actor_named(unit.session, name)

    while known is None:  # anew only where whoever was quicker has been forgotten since
        known = await store.write(work)
    return known
