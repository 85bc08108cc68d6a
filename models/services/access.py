"""Who acts: the opaque ids of people, which the record holds in place of their names, and the actors that are nobody.

A name stands in one place, its row among the actors, so that it can be taken away without touching the record.
"""

from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from models.domain.audit import AuditAction, Change, TargetType
from models.domain.errors import InvalidInput, NoChange, NotFound, Refused
from models.domain.tokens import EVERYTHING, Grant
from models.domain.vocabulary import Actor, is_storable
from models.services.heads import lock_central
from models.services.history import Caller, record
from models.store.access import ActorRow
from models.store.erasure import drop_erased
from models.store.queries import history
from models.store.unit import Store, WriteUnit
from models.store.upsert import insert_unless_there

INSTALLER: Final = "townclerk"
COMMAND_LINE: Final = "cli"
DEVELOPER: Final = "dev"
BUILT_IN: Final = {INSTALLER: "Townclerk", COMMAND_LINE: "Command line", DEVELOPER: "dev"}  # names by id
_PATH: Final = ("actorId",)
_BY_NAME: Final = {name: actor_id for actor_id, name in BUILT_IN.items()}


def built_in(actor_id: str, *, request_id: str) -> Caller:
    """One of the actors that are no person's, as the caller of a request."""
    return Caller(
        actor=Actor(actor_id=actor_id),
        display_name=BUILT_IN[actor_id],
        credential_id=None,
        request_id=request_id,
        grant=EVERYTHING,
    )


class Asker(NamedTuple):
    """Who sends a request: by an id, or by a name, which takes no id as long as nothing is changed.

    `grant` is what the asker may do, until `expires_at` where that is known. `person` is the name of whom it acts for.
    Where it is `revocable`, the credential is a token of ours.
    """

    request_id: str
    grant: Grant
    actor_id: str | None = None
    name: str | None = None
    credential_id: str | None = None
    person: str | None = None
    expires_at: datetime | None = None
    revocable: bool = False

    @property
    def counted_as(self) -> str | None:
        """Under what the asker's requests are counted, where they are bounded: the token, or the person signed in."""
        return self.credential_id if self.revocable or self.credential_id is None else self.name

    async def caller(self, store: Store) -> Caller:
        """The asker with an id, a new one where nobody goes by that name. Raises `StorageUnavailableError`."""
        actor_id = self.actor_id or await actor_named(store, self.name or "")
        person = None if self.person is None else await actor_named(store, self.person)
        return Caller(
            actor=Actor(actor_id=actor_id, on_behalf_of=person),
            display_name=self.name,
            credential_id=self.credential_id,
            request_id=self.request_id,
            grant=self.grant,
        )


def named_asker(name: str, *, request_id: str, person: str | None = None) -> Asker:
    """Someone who is taken at their word and may do everything: a developer, or whoever is at the command line."""
    return Asker(request_id=request_id, grant=EVERYTHING, name=name, actor_id=_BY_NAME.get(name), person=person)


async def actor_named(store: Store, name: str) -> str:
    """The id of whoever goes by `name`; a new opaque one (``act_`` and 32 hex digits) where nobody does.

    Requests that bring a new name at once get the same id, in whatever process. Raises `StorageUnavailableError`.
    """
    known = await actor_known(store, name)

    async def work(unit: WriteUnit) -> str | None:
        made = ActorRow(actor_id=f"act_{store.new_id()}", display_name=name)
        if await insert_unless_there(unit.session, made):
            return made.actor_id
        return await history.actor_named(unit.session, name)

    while known is None:  # anew only where whoever was quicker has been forgotten since
        known = await store.write(work)
    return known


async def actor_known(store: Store, name: str) -> str | None:
    """The id of whoever goes by `name`, None where nobody does. Raises `StorageUnavailableError`."""
    return await store.fetch(partial(history.actor_named, name=name))


async def forget_actor(store: Store, caller: Caller, actor_id: str) -> bool:
    """Erase a person's name. The record keeps the id and all that was done under it, and tells of the erasure.

    Gives whether the database has dropped the bytes of the name already; asked again, it tries that again. Raises
    `Refused`: `NOT_FOUND`, `NO_CHANGE`, `INVALID_INPUT` for an actor that is no person or whose very id is the name.
    """
    if actor_id in BUILT_IN:
        raise Refused(InvalidInput(path=_PATH, expected="the id of a person; this one is Townclerk's own"))

    async def work(unit: WriteUnit) -> bool:
        head = await lock_central(unit)
        row = await unit.session.get(ActorRow, actor_id) if is_storable(actor_id) else None
        if row is None:
            raise Refused(NotFound(kind="actor", name=actor_id, path=_PATH))
        if row.forgotten_at is not None:
            return False
        if row.display_name in {None, actor_id}:
            expected = "an opaque id; this one is the name itself, which entries hold for good"
            raise Refused(InvalidInput(path=_PATH, expected=expected))
        row.display_name, row.forgotten_at = None, head.instant
        await unit.session.flush()
        change = Change(
            action=AuditAction.ACTOR_FORGOTTEN,
            target_type=TargetType.ACTOR,
            target_id=actor_id,
            before={"forgotten": False},
            after={"forgotten": True},
        )
        await record(unit, head, caller, change)
        return True

    erased = await store.write(work)
    dropped = await drop_erased(store.database, ActorRow.__tablename__)
    if not erased:
        raise Refused(NoChange(subject=f"The record of {actor_id}", path=_PATH))
    return dropped
