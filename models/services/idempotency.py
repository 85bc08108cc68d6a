"""Once and only once: a request with an idempotency key takes effect at most one time, however often it is sent.

The key is claimed before anything else is looked at, in the change's own transaction. Whoever comes second waits for
the first to commit and gets its outcome, or to roll back and gets its turn. Refusals leave nothing behind.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import update
from sqlmodel import col, select

from models.domain.errors import IdempotencyConflict, NotFound, Refused
from models.services.history import Caller
from models.store.access import IdempotencyRow
from models.store.unit import WriteUnit
from models.store.upsert import insert_unless_there


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a request made, as far as it takes to give its reply again."""

    subject: str
    version: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request that may have been sent before: its key (None: it makes no such claim), and what it asks for.

    `town_id` is the town that it changes; None where it makes one, or changes what is central. `body` tells what it
    asks for, and is asked only where there is a key.
    """

    operation: str
    town_id: str | None
    key: str | None
    body: Callable[[], Mapping[str, object]]

    @property
    def body_hash(self) -> str:
        text = json.dumps([self.operation, self.body()], sort_keys=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()


async def once(unit: WriteUnit, caller: Caller, attempt: Attempt, act: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """The outcome of `act`, or of the earlier request with the same key and body.

    Raises `Refused` with `IDEMPOTENCY_CONFLICT` where the actor used the key for another request, and with `NOT_FOUND`
    where it may have changed that town once, and may not now.
    """
    if attempt.key is None:
        return await act()
    claim = IdempotencyRow(
        actor_id=_whose(caller),
        key=attempt.key,
        body_hash=attempt.body_hash,
        outcome="",
        created_at=unit.store.clock(),
    )
    mine = (col(IdempotencyRow.actor_id) == claim.actor_id, col(IdempotencyRow.key) == claim.key)
    if not await insert_unless_there(unit.session, claim):
        earlier = (await unit.session.exec(select(IdempotencyRow).where(*mine))).one()
        if earlier.body_hash != claim.body_hash:
            raise Refused(IdempotencyConflict(key=attempt.key))
        if attempt.town_id is not None and not caller.grant.covers(attempt.town_id):
            raise Refused(NotFound(kind="town", name=attempt.town_id, path=("townId",)))
        subject, version, notes = json.loads(earlier.outcome)
        return Outcome(subject=subject, version=version, notes=tuple(notes))
    outcome = await act()
    text = json.dumps([outcome.subject, outcome.version, outcome.notes])
    await unit.session.exec(update(IdempotencyRow).where(*mine).values(outcome=text))
    return outcome


def _whose(caller: Caller) -> str:
    """Whose key it is: two people that one client acts for may well choose the same."""
    actor = caller.actor
    return actor.actor_id if actor.on_behalf_of is None else f"{actor.actor_id}/{actor.on_behalf_of}"
