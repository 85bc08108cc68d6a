"""Pages of a chain's entries, at a cost that grows neither with the depth of a page nor with the size of the history.

A filter is taken apart into legs: entries that agree in the columns at the front of an index, which therefore holds
them in the order of their sequences. The newest of each leg are read off its index, and the newest of those are the
page. Instants increase along a chain, so that they bound a page just as sequences do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Final

from sqlalchemy import ColumnElement, Integer, cast, func, true, union_all
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.audit import TARGET_TYPES, AuditAction
from models.store.audit import AuditEntryRow
from models.store.paging import Page, Slice, fetch_page
from models.store.queries.json_texts import table_of

_MAX_LEGS: Final = 100  # in one statement; SQLite takes 500

_Conditions = tuple[ColumnElement[bool], ...]
_ROW: Final = AuditEntryRow


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryQuery:
    """What entries to list; None does not narrow. `since` is inclusive, `until` is not."""

    actions: Sequence[AuditAction] | None = None
    actor_ids: Sequence[str] | None = None
    target_type: str | None = None
    target_id: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def meant_actions(self) -> Sequence[AuditAction]:
        """The actions that it leaves, each once: the type of the target follows from the action."""
        given = AuditAction if self.actions is None else dict.fromkeys(self.actions)
        return [action for action in given if self.target_type in {None, TARGET_TYPES[action].value}]


async def entries_page(session: AsyncSession, chain: str, query: EntryQuery, wanted: Slice) -> Page[AuditEntryRow]:
    """Entries of a chain, newest first."""
    within = await _within(session, chain, query)
    if within is None:
        return Page(rows=[], has_next=False)
    if _is_unnarrowed(query):
        return await fetch_page(
            session, select(_ROW).where(*within), order=col(_ROW.sequence), wanted=wanted, descending=True
        )
    if wanted.after is not None:
        within = (*within, col(_ROW.sequence) < wanted.after)
    legs = await _legs(session, query, within, wanted.first + 1)
    sequences = await _newest(session, legs, wanted.first + 1) if legs else []
    rows = await _rows(session, chain, sequences[: wanted.first]) if sequences else []
    return Page(rows=sorted(rows, key=lambda row: row.sequence, reverse=True), has_next=len(sequences) > wanted.first)


def _is_unnarrowed(query: EntryQuery) -> bool:
    narrowing = (query.actions, query.actor_ids, query.target_type, query.target_id, query.request_id)
    return all(value is None for value in narrowing)


async def _within(session: AsyncSession, chain: str, query: EntryQuery) -> _Conditions | None:
    """The chain and the sequences that the instants bound; None where there are none."""
    at = col(_ROW.occurred_at)
    in_chain = col(_ROW.chain) == chain
    within: _Conditions = (in_chain,)
    if query.since is not None:
        first = select(col(_ROW.sequence)).where(in_chain, at >= query.since).order_by(at).limit(1)
        if (sequence := (await session.exec(first)).one_or_none()) is None:
            return None
        within = (*within, col(_ROW.sequence) >= sequence)
    if query.until is not None:
        last = select(col(_ROW.sequence)).where(in_chain, at < query.until).order_by(at.desc()).limit(1)
        if (sequence := (await session.exec(last)).one_or_none()) is None:
            return None
        within = (*within, col(_ROW.sequence) <= sequence)
    return within


async def _legs(session: AsyncSession, query: EntryQuery, within: _Conditions, first: int) -> Sequence[_Conditions]:
    """Conditions of which each entry that is meant meets one; those that none of the `first` meets may be left out.

    Where there are several filters, one leads, and the rest are looked at entry by entry of what it leaves.
    """
    actions, target_id = query.meant_actions, query.target_id
    actor_ids = None if query.actor_ids is None else list(dict.fromkeys(query.actor_ids))
    if not actions or actor_ids == []:
        return []
    of_actor = () if actor_ids is None else (col(_ROW.actor_id).in_(actor_ids),)
    of_target = () if target_id is None else (col(_ROW.target_id) == target_id,)
    if query.request_id is not None:
        of_action = () if len(actions) == len(AuditAction) else (col(_ROW.action).in_(actions),)
        return [(*within, col(_ROW.request_id) == query.request_id, *of_action, *of_actor, *of_target)]
    if target_id is not None or actor_ids is None:
        return [(*within, col(_ROW.action) == action, *of_target, *of_actor) for action in actions]
    pairs: Iterable[tuple[str, str]] = product(actor_ids, actions)
    if len(actor_ids) * len(actions) > _MAX_LEGS:
        pairs = await _promising(session, actor_ids, actions, within, first)
    return [(*within, col(_ROW.actor_id) == actor_id, col(_ROW.action) == action) for actor_id, action in pairs]


async def _promising(
    session: AsyncSession, actor_ids: Iterable[str], actions: Iterable[str], within: _Conditions, first: int
) -> Sequence[tuple[str, str]]:
    """The pairs of actor and action that the `first` entries are among: those whose own newest are the newest."""
    actors, of_them = table_of(actor_ids, "actors"), table_of(actions, "actions")
    actor, action = actors.c.value, of_them.c.value
    newest = (
        select(func.max(col(_ROW.sequence)))
        .where(*within, col(_ROW.actor_id) == actor, col(_ROW.action) == action)
        .scalar_subquery()
    )
    columns = (actor.label("actor_id"), action.label("action"), newest.label("newest"))
    pairs = select(*columns).select_from(actors.join(of_them, true())).subquery()
    query = select(pairs.c.actor_id, pairs.c.action).where(pairs.c.newest.is_not(None))
    return (await session.exec(query.order_by(pairs.c.newest.desc()).limit(first))).all()


async def _newest(session: AsyncSession, legs: Iterable[_Conditions], first: int) -> Sequence[int]:
    """The `first` newest sequences of all legs, newest first."""
    each = [
        select(col(_ROW.sequence)).where(*leg).order_by(col(_ROW.sequence).desc()).limit(first).subquery()
        for leg in legs
    ]
    together = union_all(*(select(leg.c.sequence) for leg in each)).subquery()
    query = select(together.c.sequence).order_by(together.c.sequence.desc()).limit(first)
    return (await session.exec(query)).all()


async def _rows(session: AsyncSession, chain: str, sequences: Iterable[int]) -> Iterable[AuditEntryRow]:
    """The entries of `sequences`, each by the primary key.

    PostgreSQL might else prefer to read another index of the chain from end to end: there the key is looked up once
    for each, by a subquery that its limit keeps apart.
    """
    if session.get_bind().dialect.name == "sqlite":
        return await session.exec(select(_ROW).where(_ROW.chain == chain, col(_ROW.sequence).in_(sequences)))
    each = table_of(map(str, sequences), "sequences")
    its = col(_ROW.sequence) == cast(each.c.value, Integer)
    found = select(_ROW).where(_ROW.chain == chain, its).limit(1).lateral()
    return await session.exec(select(aliased(_ROW, found)).select_from(each.join(found, true())))
