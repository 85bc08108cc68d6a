"""The record of changes: `record` and `record_all` alone write audit entries, and end each write to a chain."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.domain.audit import Change, Entry, entry_hash
from models.domain.tokens import Grant
from models.domain.vocabulary import Actor
from models.store.access import ActorRow
from models.store.audit import AuditEntryRow
from models.store.heads import Head, move_heads
from models.store.rows import insert_rows
from models.store.straight import Values
from models.store.unit import WriteUnit
from models.store.upsert import insert_unless_there


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose account a request runs. `display_name` is for people and never enters the record.

    It is None where it was written down when the actor first did something, if it may be known at all. `grant` is what
    it may do.
    """

    actor: Actor
    display_name: str | None
    credential_id: str | None
    request_id: str
    grant: Grant


async def record(unit: WriteUnit, head: Head, caller: Caller, change: Change) -> None:
    """Write the entry for `change`, store the head it was made under, and have feeds woken up after the commit."""
    await record_all(unit, caller, [(head, change)])


async def record_all(unit: WriteUnit, caller: Caller, changes: Sequence[tuple[Head, Change]]) -> None:
    """`record` for changes in several chains, one each, in as many statements as one takes."""
    moved = [(head, head.audit_sequence) for head, _ in changes]
    await insert_rows(unit.session, AuditEntryRow, [_entry_row(head, caller, change) for head, change in changes])
    if caller.display_name is not None:
        named = ActorRow(actor_id=caller.actor.actor_id, display_name=caller.display_name)
        await insert_unless_there(unit.session, named)  # a row without a name stays so: the name was erased
    await move_heads(unit.session, moved)
    await unit.announce([head.chain for head, _ in changes])


def _entry_row(head: Head, caller: Caller, change: Change) -> Values:
    """The entry for `change` at the end of the head's chain; the head is moved to it."""
    entry = Entry(
        chain=head.chain,
        sequence=head.audit_sequence + 1,
        occurred_at=head.instant,
        actor=caller.actor,
        credential_id=caller.credential_id,
        request_id=caller.request_id,
        change=change,
        previous_hash=head.audit_hash,
    )
    canonical = entry.canonical()
    head.audit_sequence = entry.sequence
    head.audit_hash = entry_hash(entry.previous_hash, canonical)
    return {
        "chain": entry.chain,
        "sequence": entry.sequence,
        "occurred_at": entry.occurred_at,
        "action": change.action,
        "actor_id": caller.actor.actor_id,
        "target_type": change.target_type,
        "target_id": change.target_id,
        "request_id": caller.request_id,
        "canonical": canonical,
        "hash": head.audit_hash,
    }
