"""The audit history: entries, newest first, and the heads of chains."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

import strawberry
from strawberry.scalars import JSON

from api.schema.actors import Actor
from api.schema.connections import Connection, Node, connection, filter_name
from api.schema.context import Context, Info
from api.schema.fields import field, field_for
from models.domain import checks
from models.domain.audit import CENTRAL_CHAIN, AuditAction
from models.domain.errors import InvalidInput, NotFound, Refused, refuse_if_any
from models.domain.permissions import AUDIT, AUDIT_CENTRE, require
from models.domain.verification import FaultCode, Verification
from models.services.verification import verify_one
from models.store.audit import AuditEntryRow
from models.store.queries.entries import EntryQuery, entries_page

strawberry.enum(AuditAction)


@strawberry.input(description="since <= t < until. What is left out does not narrow.")
class AuditFilter:
    actions: list[AuditAction] | None = None
    actor_ids: list[strawberry.ID] | None = None
    target_type: str | None = None
    target_id: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def query(self) -> EntryQuery:
        """What to list. Raises `Refused` for text that no database could hold, and for an end before the beginning."""
        backwards = self.since is not None and self.until is not None and self.since > self.until
        refuse_if_any(
            [
                *checks.list_problems(self.actions, "actions", "filter", "actions"),
                *checks.list_problems(self.actor_ids, "actor ids", "filter", "actorIds"),
                *checks.search_problems(self.target_type, "filter", "targetType"),
                *checks.search_problems(self.target_id, "filter", "targetId"),
                *checks.search_problems(self.request_id, "filter", "requestId"),
                *(
                    problem
                    for index, actor_id in enumerate(self.actor_ids or [])
                    for problem in checks.search_problems(actor_id, "filter", "actorIds", str(index))
                ),
                *([InvalidInput(path=("filter", "since"), expected="no later than until")] if backwards else []),
            ]
        )
        return EntryQuery(
            actions=self.actions,
            actor_ids=self.actor_ids,
            target_type=self.target_type,
            target_id=self.target_id,
            request_id=self.request_id,
            since=self.since,
            until=self.until,
        )


@strawberry.type(description="One link of a chain: a change, who made it, when and why. Never edited.")
class AuditEntry(Node):
    row: strawberry.Private[AuditEntryRow]

    @cached_property
    def _record(self) -> Mapping[str, Any]:
        """The stored bytes, which are the record, read as JSON."""
        record: Mapping[str, Any] = json.loads(self.row.canonical)
        return record

    def node_key(self) -> tuple[str | int, ...]:
        return (self.row.chain, self.row.sequence)

    @field
    def town_id(self) -> strawberry.ID | None:
        """Null for what is central: profiles and models."""
        return _town_id(self.row.chain)

    @field
    def sequence(self) -> int:
        """Gapless within its chain: one chain per town, one for what is central."""
        return self.row.sequence

    @field
    def occurred_at(self) -> datetime:
        return self.row.occurred_at

    @field
    def actor(self) -> Actor:
        return Actor(actor=self._record["actor"], person=self._record["onBehalfOf"])

    @field
    def action(self) -> AuditAction:
        return self.row.action

    @field
    def target_type(self) -> str:
        return self.row.target_type

    @field
    def target_id(self) -> str:
        return self.row.target_id

    @field
    def version_before(self) -> int | None:
        """The version in force before, of an override set or a profile; null or 0 where there was none."""
        version: int | None = self._record["versionBefore"]
        return version

    @field
    def version_after(self) -> int | None:
        """The version that it made; null where it made none."""
        version: int | None = self._record["versionAfter"]
        return version

    @field
    def reason(self) -> str | None:
        reason: str | None = self._record["reason"]
        return reason

    @field
    def request_id(self) -> str:
        return self.row.request_id

    @field
    def before(self) -> JSON | None:
        """What stood before; null where nothing did."""
        return self._record["before"]  # type: ignore[no-any-return]  # JSON is any value

    @field
    def after(self) -> JSON | None:
        return self._record["after"]  # type: ignore[no-any-return]  # JSON is any value

    @field
    def previous_hash(self) -> str:
        """The hash of the entry before; 64 zeros for the first."""
        previous: str = self._record["previousHash"]
        return previous

    @field
    def hash(self) -> str:
        """SHA-256 over the previous hash and this entry's canonical bytes, hex."""
        return self.row.hash


@strawberry.type(description="Where a chain ends. Written down elsewhere, it shows later whether the tail was cut.")
class AuditHead:
    town_id: strawberry.ID | None
    sequence: int
    hash: str


strawberry.enum(FaultCode, name="AuditFaultCode", description="What can be wrong with a chain or what it tells of.")


@strawberry.type(description="What came of verifying a chain, and every row that it has to explain.")
class AuditVerification:
    found: strawberry.Private[Verification]

    @field
    def town_id(self) -> strawberry.ID | None:
        """Null for the central chain."""
        return _town_id(self.found.chain)

    @field
    def ok(self) -> bool:
        return self.found.ok

    @field
    def entries(self) -> int:
        """How many entries are stored."""
        return self.found.entries

    @field
    def head(self) -> AuditHead:
        """The last entry that was found good."""
        head = self.found.head
        return AuditHead(town_id=_town_id(self.found.chain), sequence=head.sequence, hash=head.hash)

    @field
    def first_bad_sequence(self) -> int | None:
        """Null where all is well, and where no entry is to blame: a row that none tells of."""
        return None if self.found.fault is None else self.found.fault.sequence

    @field
    def problem(self) -> str | None:
        """The first thing that is wrong, in one sentence for people."""
        return None if self.found.fault is None else self.found.fault.message

    @field
    def problem_code(self) -> FaultCode | None:
        return None if self.found.fault is None else self.found.fault.code


def _town_id(chain: str) -> strawberry.ID | None:
    return None if chain == CENTRAL_CHAIN else strawberry.ID(chain)


async def entries_of(
    context: Context, chain: str, audit_filter: AuditFilter | None, first: int | None, after: str | None
) -> Connection[AuditEntry]:
    query = (audit_filter or AuditFilter()).query()
    return await connection(
        context.store.search,
        lambda session, wanted: entries_page(session, chain, query, wanted),
        list_name=filter_name("entries", chain, query),
        key=lambda row: row.sequence,
        key_type=int,
        node=lambda row: AuditEntry(row=row),
        first=first,
        after=after,
    )


@strawberry.type
class HistoryQuery:
    @field_for(AUDIT)
    async def audit_entries(
        self,
        info: Info,
        town_id: strawberry.ID | None = None,
        filter: AuditFilter | None = None,  # noqa: A002  # the contract's word
        first: int | None = 50,
        after: str | None = None,
    ) -> Connection[AuditEntry]:
        """Newest first. Without a town: the central chain only."""
        head = await audit_head_of(info.context, town_id)
        return await entries_of(info.context, head.town_id or CENTRAL_CHAIN, filter, first, after)

    @field_for(AUDIT)
    async def audit_head(self, info: Info, town_id: strawberry.ID | None = None) -> AuditHead:
        """The last entry of a town's chain, or of the central one."""
        return await audit_head_of(info.context, town_id)

    @field_for(AUDIT)
    async def verify_audit(self, info: Info, town_id: strawberry.ID | None = None) -> AuditVerification:
        """Follow a town's chain, or the central one, and hold it against all that is stored. Takes its time."""
        context = info.context
        await audit_head_of(context, town_id)
        found = await verify_one(context.store, context.asker.grant, town_id or CENTRAL_CHAIN)
        return AuditVerification(found=found)


async def audit_head_of(context: Context, town_id: strawberry.ID | None) -> AuditHead:
    """The head of a chain. Raises `Refused` with `NOT_FOUND` for a town that is not there; `ForbiddenError`."""
    if town_id is None:
        require(context.asker.grant, AUDIT_CENTRE)
    row = await context.loaders.head.load(CENTRAL_CHAIN if town_id is None else town_id)
    if row is None or (town_id is not None and row.version == 0):
        raise Refused(NotFound(kind="town", name=town_id or "", path=("townId",)))
    return AuditHead(town_id=town_id, sequence=row.audit_sequence, hash=row.audit_hash)
