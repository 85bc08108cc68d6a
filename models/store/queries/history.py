"""Reads of single audit entries, mayors and actors."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store.access import ActorRow
from models.store.audit import AuditEntryRow
from models.store.mayor import MayorObservationRow, MayorSignalRow
from models.store.paging import Page, Slice, fetch_known_page
from models.store.queries import towns
from models.store.queries.keyed import rows_of

_SIGNALS_OF: Final = select(MayorSignalRow).where(col(MayorSignalRow.town_id) == bindparam("town_id"))


async def entry(session: AsyncSession, chain: str, sequence: int) -> AuditEntryRow | None:
    return await session.get(AuditEntryRow, (chain, sequence))


async def actors(session: AsyncSession, actor_ids: Iterable[str]) -> dict[str, ActorRow]:
    keys = [(actor_id,) for actor_id in actor_ids]
    return {row.actor_id: row for row in await rows_of(session, ActorRow, keys, col(ActorRow.actor_id))}


async def actor_named(session: AsyncSession, name: str) -> str | None:
    """The id of whoever goes by `name`."""
    query = select(ActorRow.actor_id).where(ActorRow.display_name == name)
    return (await session.exec(query)).one_or_none()


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
    params, order = {"town_id": town_id}, col(MayorSignalRow.sequence)
    return await fetch_known_page(session, _SIGNALS_OF, params, order=order, wanted=wanted, descending=True)


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
