"""Reads of audit entries, mayors and actors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.audit import AuditAction
from models.store.access import ActorRow
from models.store.audit import AuditEntryRow
from models.store.mayor import MayorObservationRow, MayorSignalRow
from models.store.paging import Page, Slice, fetch_page
from models.store.queries import towns


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


async def entries_page(
    session: AsyncSession, chain: str, wanted_entries: EntryQuery, wanted: Slice
) -> Page[AuditEntryRow]:
    """Entries of a chain, newest first."""
    row, want = AuditEntryRow, wanted_entries
    query = select(row).where(row.chain == chain)
    if want.actions is not None:
        query = query.where(col(row.action).in_(want.actions))
    if want.actor_ids is not None:
        query = query.where(col(row.actor_id).in_(want.actor_ids))
    for column, value in (
        (row.target_type, want.target_type),
        (row.target_id, want.target_id),
        (row.request_id, want.request_id),
    ):
        if value is not None:
            query = query.where(col(column) == value)
    if want.since is not None:
        query = query.where(col(row.occurred_at) >= want.since)
    if want.until is not None:
        query = query.where(col(row.occurred_at) < want.until)
    return await fetch_page(session, query, order=col(row.sequence), wanted=wanted, descending=True)


async def entry(session: AsyncSession, chain: str, sequence: int) -> AuditEntryRow | None:
    return await session.get(AuditEntryRow, (chain, sequence))


async def actors(session: AsyncSession, actor_ids: Iterable[str]) -> dict[str, ActorRow]:
    query = select(ActorRow).where(col(ActorRow.actor_id).in_(list(actor_ids)))
    return {row.actor_id: row for row in await session.exec(query)}


async def observations(session: AsyncSession, town_ids: Iterable[str]) -> dict[str, MayorObservationRow]:
    """The last observation of each town that has one."""
    last = (
        select(col(MayorObservationRow.town_id), func.max(col(MayorObservationRow.sequence)).label("sequence"))
        .where(col(MayorObservationRow.town_id).in_(list(town_ids)))
        .group_by(col(MayorObservationRow.town_id))
        .subquery()
    )
    query = select(MayorObservationRow).join(
        last,
        (col(MayorObservationRow.town_id) == last.c.town_id) & (col(MayorObservationRow.sequence) == last.c.sequence),
    )
    return {row.town_id: row for row in await session.exec(query)}


async def open_signals(session: AsyncSession, town_ids: Iterable[str]) -> dict[str, MayorSignalRow]:
    query = select(MayorSignalRow).where(
        col(MayorSignalRow.town_id).in_(list(town_ids)), col(MayorSignalRow.closed_at).is_(None)
    )
    return {row.town_id: row for row in await session.exec(query)}


async def count_open_signals(session: AsyncSession) -> int:
    """How many mayors have to restart, over all towns."""
    query = select(func.count()).select_from(MayorSignalRow).where(col(MayorSignalRow.closed_at).is_(None))
    return (await session.exec(query)).one()


@dataclass(frozen=True, slots=True, kw_only=True)
class MayorStanding:
    """A town's mayor from one snapshot: the override set in force, what was seen last, and the open signal."""

    version: int
    observation: MayorObservationRow | None
    signal: MayorSignalRow | None


async def mayors(session: AsyncSession, town_ids: Iterable[str]) -> dict[str, MayorStanding]:
    wanted = list(town_ids)
    heads = await towns.heads(session, wanted)
    seen = await observations(session, wanted)
    signals = await open_signals(session, wanted)
    return {
        town_id: MayorStanding(version=head.version, observation=seen.get(town_id), signal=signals.get(town_id))
        for town_id, head in heads.items()
    }


async def signals_page(session: AsyncSession, town_id: str, wanted: Slice) -> Page[MayorSignalRow]:
    query = select(MayorSignalRow).where(MayorSignalRow.town_id == town_id)
    return await fetch_page(session, query, order=col(MayorSignalRow.sequence), wanted=wanted, descending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsAt:
    """What the write of an instant left of a town's signals: the one it raised, and whether any was open after it."""

    raised: MayorSignalRow | None
    any_open: bool


async def signals_at(
    session: AsyncSession, keys: Iterable[tuple[str, datetime]]
) -> dict[tuple[str, datetime], SignalsAt]:
    """For keys (town id, instant of a write); a statement a town."""
    instants: dict[str, list[datetime]] = {}
    for town_id, at in keys:
        instants.setdefault(town_id, []).append(at)
    found = {}
    for town_id, wanted in instants.items():
        query = select(MayorSignalRow).where(
            MayorSignalRow.town_id == town_id,
            col(MayorSignalRow.raised_at) <= max(wanted),
            or_(col(MayorSignalRow.closed_at).is_(None), col(MayorSignalRow.closed_at) > min(wanted)),
        )
        rows = (await session.exec(query)).all()
        for at in wanted:
            open_then = [row for row in rows if row.raised_at <= at and (row.closed_at is None or row.closed_at > at)]
            raised = next((row for row in open_then if row.raised_at == at), None)
            found[town_id, at] = SignalsAt(raised=raised, any_open=bool(open_then))
    return found
