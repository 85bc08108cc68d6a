"""Pages of a chain's entries, at a cost that grows neither with the depth of a page nor with the size of the history.

A filter is taken apart into legs: entries that agree in the columns at the front of an index, which therefore holds
them in the order of their sequences. The newest of each leg are read off its index, and the newest of those are the
page. Instants increase along a chain, so that they bound a page just as sequences do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Final

from sqlalchemy import ColumnElement, Integer, cast, func, literal, true, tuple_, union_all
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.domain.audit import TARGET_TYPES, AuditAction
from models.domain.vocabulary import MAX_VERSION
from models.store.audit import AuditEntryRow
from models.store.paging import Page, Slice, fetch_page
from models.store.queries.json_texts import table_of

_MAX_LEGS: Final = 100  # in one statement; SQLite takes 500
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
    low, high = await _bounds(session, chain, query, wanted)
    if _is_unnarrowed(query):
        sequence = col(_ROW.sequence)
        all_of_them = select(_ROW).where(_ROW.chain == chain, sequence >= low, sequence <= high)
        return await fetch_page(session, all_of_them, order=sequence, wanted=Slice(first=wanted.first), descending=True)
    search = _Search(session=session, chain=chain, low=low, high=high, limit=wanted.first + 1)
    sequences = await search.newest(await search.legs(query))
    rows = await search.rows(sequences[: wanted.first])
    newest_first = sorted(rows, key=lambda row: row.sequence, reverse=True)
    return Page(rows=newest_first, has_next=len(sequences) > wanted.first)


def _is_unnarrowed(query: EntryQuery) -> bool:
    narrowing = (query.actions, query.actor_ids, query.target_type, query.target_id, query.request_id)
    return all(value is None for value in narrowing)


async def _bounds(session: AsyncSession, chain: str, query: EntryQuery, wanted: Slice) -> tuple[int, int]:
    """The lowest and the highest sequence that the page can hold; the wrong way round where it can hold none."""
    at, in_chain = col(_ROW.occurred_at), col(_ROW.chain) == chain
    low, high = 0, MAX_VERSION if wanted.after is None else int(wanted.after) - 1
    if query.since is not None:
        first = select(col(_ROW.sequence)).where(in_chain, at >= query.since).order_by(at).limit(1)
        sequence = (await session.exec(first)).one_or_none()
        low = MAX_VERSION if sequence is None else sequence
    if query.until is not None:
        last = select(col(_ROW.sequence)).where(in_chain, at < query.until).order_by(at.desc()).limit(1)
        high = min(high, (await session.exec(last)).one_or_none() or 0)
    return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leg:
    """Entries with these values in the columns of an index between its first, the chain, and its last, the sequence.

    `rest` are conditions that are looked at entry by entry.
    """

    values: Mapping[str, str | ColumnElement[str]]
    rest: tuple[ColumnElement[bool], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """For the `limit` newest entries of a chain between two sequences, both included."""

    session: AsyncSession
    chain: str
    low: int
    high: int
    limit: int

    @property
    def _is_sqlite(self) -> bool:
        return self.session.get_bind().dialect.name == "sqlite"

    async def legs(self, query: EntryQuery) -> Sequence[_Leg]:
        """Legs of which each entry that is meant is in one; those that none of the newest is in may be left out.

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
            return [_Leg(values={"request_id": query.request_id}, rest=(*of_action, *of_actor, *of_target))]
        if target_id is not None:
            return [_Leg(values={"target_id": target_id, "action": action}, rest=of_actor) for action in actions]
        if actor_ids is None:
            return [_Leg(values={"action": action}) for action in actions]
        pairs: Iterable[tuple[str, str]] = product(actor_ids, actions)
        if len(actor_ids) * len(actions) > _MAX_LEGS:
            pairs = await self._promising(actor_ids, actions)
        return [_Leg(values={"actor_id": actor_id, "action": action}) for actor_id, action in pairs]

    async def newest(self, legs: Iterable[_Leg]) -> Sequence[int]:
        """The newest sequences of all legs, newest first."""
        each = [self._newest_of(leg, self.limit).subquery() for leg in legs]
        if not each:
            return []
        together = union_all(*(select(leg.c.sequence) for leg in each)).subquery()
        query = select(together.c.sequence).order_by(together.c.sequence.desc()).limit(self.limit)
        await self._keep_to_the_index()
        return (await self.session.exec(query)).all()

    async def rows(self, sequences: Sequence[int]) -> Iterable[AuditEntryRow]:
        """The entries of these sequences, each by the primary key.

        PostgreSQL might else prefer to read another index of the chain from end to end: there the key is looked up
        once for each, by a subquery that its limit keeps apart.
        """
        if not sequences:
            return []
        of_chain = col(_ROW.chain) == self.chain
        if self._is_sqlite:
            return await self.session.exec(select(_ROW).where(of_chain, col(_ROW.sequence).in_(sequences)))
        each = table_of(map(str, sequences), "sequences")
        its = col(_ROW.sequence) == cast(each.c.value, Integer)
        found = select(_ROW).where(of_chain, its).limit(1).lateral()
        return await self.session.exec(select(aliased(_ROW, found)).select_from(each.join(found, true())))

    async def _promising(self, actor_ids: Iterable[str], actions: Iterable[str]) -> Sequence[tuple[str, str]]:
        """The pairs of actor and action that the newest entries are among: those whose own newest are the newest."""
        actors, of_them = table_of(actor_ids, "actors"), table_of(actions, "actions")
        actor, action = actors.c.value, of_them.c.value
        newest = self._newest_of(_Leg(values={"actor_id": actor, "action": action}), 1).scalar_subquery()
        columns = (actor.label("actor_id"), action.label("action"), newest.label("newest"))
        pairs = select(*columns).select_from(actors.join(of_them, true())).subquery()
        query = select(pairs.c.actor_id, pairs.c.action).where(pairs.c.newest.is_not(None))
        await self._keep_to_the_index()
        return (await self.session.exec(query.order_by(pairs.c.newest.desc()).limit(self.limit))).all()

    def _newest_of(self, leg: _Leg, limit: int) -> SelectOfScalar[int]:
        """The newest sequences of a leg.

        PostgreSQL, asked for equal values, walks down the primary key instead where its statistics say that it would
        soon have met enough of them, and so through a whole history for what is not in it. It is asked for all from
        one row to another in the very order of the index, which no other index has.
        """
        sequence, of_chain = col(_ROW.sequence), col(_ROW.chain) == self.chain
        columns = {name: col(getattr(_ROW, name)) for name in leg.values}
        if self._is_sqlite:
            equal = (columns[name] == value for name, value in leg.values.items())
            within = (sequence >= self.low, sequence <= self.high)
            query = select(sequence).where(of_chain, *equal, *within, *leg.rest)
            return query.order_by(sequence.desc()).limit(limit)
        values = [value if isinstance(value, ColumnElement) else literal(str(value)) for value in leg.values.values()]
        place = tuple_(*columns.values(), sequence)
        query = select(sequence).where(of_chain, place >= tuple_(*values, literal(self.low)), *leg.rest)
        query = query.where(place <= tuple_(*values, literal(self.high)))
        return query.order_by(*(column.desc() for column in columns.values()), sequence.desc()).limit(limit)

    async def _keep_to_the_index(self) -> None:
        """Have legs read in the order of their indexes, to the end of the transaction.

        PostgreSQL might else read all of one and sort it. What sorting remains seems dear to it then, but not worth
        compiling, which would take longer.
        """
        if not self._is_sqlite:
            settings = {"enable_sort": "off", "jit": "off"}
            await self.session.exec(select(*(func.set_config(name, value, true()) for name, value in settings.items())))
