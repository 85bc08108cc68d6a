"""Locking a chain before writing to it. Whoever needs several locks the towns' first, by id, then the central one."""

from collections.abc import Iterable
from datetime import datetime

from models.domain.audit import CENTRAL_CHAIN
from models.domain.errors import NotFound, Refused, VersionConflict
from models.domain.vocabulary import is_id
from models.services.history import Caller
from models.store.heads import Head, await_turn, lock_head
from models.store.unit import Store, WriteUnit


async def lock_town(unit: WriteUnit, caller: Caller, town_id: str, *, expected: int | None = None) -> Head:
    """Lock a town for a write. Raises `Refused`: `NOT_FOUND`, `VERSION_CONFLICT` where `expected` is not in force.

    A town that the caller's credential is not for is one that is not there.
    """
    chain = caller.grant.concealed(town_id)
    head = await lock_head(unit.session, chain, clock=unit.store.clock) if is_id(town_id) else None
    if head is None or head.version == 0:
        raise Refused(NotFound(kind="town", name=town_id, path=("townId",)))
    if expected is not None and head.version != expected:
        raise Refused(VersionConflict(expected=expected, current=head.version))
    return head


async def lock_central(unit: WriteUnit) -> Head:
    """Lock the chain of what is central: profiles and models. It exists since the database was seeded."""
    head = await lock_head(unit.session, CENTRAL_CHAIN, clock=unit.store.clock)
    if head is None:
        raise LookupError("the database is not seeded: run townclerk migrate")
    return head


async def settle(store: Store, town_ids: Iterable[str]) -> datetime:
    """Wait for the writes that are under way to towns; gives the instant before which nothing of them moves any more.

    Writes that begin later take that instant or a later one, as long as all processes go by one clock. Raises
    `StorageUnavailableError`.
    """

    async def work(unit: WriteUnit) -> datetime:
        await await_turn(unit.session, town_ids)
        return store.clock()

    return await store.write(work)
