"""Reads of towns, heads, rigs and beads, as they stand and as they stood."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, func, true
from sqlalchemy import select as core_select
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.vocabulary import BeadStatus, BeadType, Role, is_id
from models.store.base import Instant, Key
from models.store.paging import Page, Slice, fetch_known_page, fetch_page
from models.store.queries.json_texts import given, holds_any, is_among, is_among_given, table_given
from models.store.queries.keyed import rows_of
from models.store.rows import read_values, table_of
from models.store.towns import BeadRevisionRow, BeadRow, HeadRow, RigRow, TownRow

RigKey = tuple[str, str]
Towns = Collection[str]  # the ids of those that may be seen; None in its place for all


@dataclass(frozen=True, slots=True, kw_only=True)
class BeadQuery:
    """What beads to list. None does not narrow; `labels` are any of them, `roles` the effective ones."""

    rig_id: str | None = None
    types: Sequence[BeadType] | None = None
    statuses: Sequence[BeadStatus] | None = None
    labels: Sequence[str] | None = None
    roles: Sequence[Role] | None = None
    title_contains: str | None = None


# made once, which takes longer than to execute them
_RIGS_OF: Final = (
    select(RigRow).where(col(RigRow.town_id).in_(bindparam("town_ids", expanding=True))).order_by(col(RigRow.rig_id))
)
_TOWNS: Final = select(TownRow)
_REVISIONS_OF: Final = select(BeadRevisionRow).where(
    col(BeadRevisionRow.town_id) == bindparam("town_id"), col(BeadRevisionRow.bead_id) == bindparam("bead_id")
)
_RIGS: Final = table_of(RigRow).c
_RIG_IDS: Final = core_select(_RIGS.rig_id).where(_RIGS.town_id == bindparam("town_id"), _RIGS.removed_at.is_(None))
_BEADS: Final = select(BeadRow).where(is_among_given(col(BeadRow.bead_id), "bead_ids"))
_BEADS_WITHIN: Final = _BEADS.where(is_among_given(col(BeadRow.town_id), "town_ids"))


async def towns(session: AsyncSession, town_ids: Iterable[str]) -> dict[str, TownRow]:
    keys = [(town_id,) for town_id in town_ids]
    return {row.town_id: row for row in await rows_of(session, TownRow, keys, col(TownRow.town_id))}


async def towns_page(
    session: AsyncSession, *, name_contains: str | None, wanted: Slice, within: Towns | None = None
) -> Page[TownRow]:
    order = col(TownRow.town_id)
    if within is None and not name_contains:
        return await fetch_known_page(session, _TOWNS, {}, order=order, wanted=wanted)
    query = select(TownRow).where(*_within(col(TownRow.town_id), within))
    if name_contains:
        query = query.where(col(TownRow.search_name).contains(name_contains.casefold(), autoescape=True))
    return await fetch_page(session, query, order=order, wanted=wanted)


async def heads(session: AsyncSession, chains: Iterable[str]) -> dict[str, HeadRow]:
    keys = [(chain,) for chain in chains]
    return {row.chain: row for row in await rows_of(session, HeadRow, keys, col(HeadRow.chain))}


async def rigs(session: AsyncSession, keys: Iterable[RigKey]) -> dict[RigKey, RigRow]:
    """The rigs of `keys` (town id, rig id), removed ones too."""
    rows = await rows_of(session, RigRow, keys, col(RigRow.town_id), col(RigRow.rig_id))
    return {(row.town_id, row.rig_id): row for row in rows}


async def rigs_of(session: AsyncSession, town_ids: Iterable[str]) -> dict[str, list[RigRow]]:
    """All rigs of each town, removed ones too, by rig id."""
    by_town: dict[str, list[RigRow]] = {}
    for row in await session.exec(_RIGS_OF, params={"town_ids": list(town_ids)}):
        by_town.setdefault(row.town_id, []).append(row)
    return by_town


async def rig_ids(session: AsyncSession, town_id: str) -> frozenset[str]:
    """The ids of a town's rigs, without the removed ones."""
    return frozenset(row.rig_id for row in await read_values(session, _RIG_IDS, town_id=town_id))


async def beads(session: AsyncSession, bead_ids: Iterable[str], *, within: Towns | None = None) -> dict[str, BeadRow]:
    if within is None:
        query, params = _BEADS, {"bead_ids": given(bead_ids)}
    else:
        query, params = _BEADS_WITHIN, {"bead_ids": given(bead_ids), "town_ids": given(within)}
    return {row.bead_id: row for row in await session.exec(query, params=params)}


async def standings(
    session: AsyncSession, bead_ids: Iterable[str], *, within: Towns | None = None
) -> dict[str, tuple[BeadRow, int]]:
    """Each bead with the version in force in its town, from one statement: the two never belie each other."""
    query = (
        select(BeadRow, col(HeadRow.version))
        .join(HeadRow, col(HeadRow.chain) == col(BeadRow.town_id))
        .where(
            col(BeadRow.bead_id).in_([bead_id for bead_id in bead_ids if is_id(bead_id)]),
            *_within(col(BeadRow.town_id), within),
        )
    )
    return {row.bead_id: (row, version) for row, version in await session.exec(query)}


def _within(town_id: Mapped[str], within: Towns | None) -> list[ColumnElement[bool]]:
    return [] if within is None else [is_among(town_id, within)]


async def beads_page(session: AsyncSession, town_id: str, wanted_beads: BeadQuery, wanted: Slice) -> Page[BeadRow]:
    query = select(BeadRow).where(BeadRow.town_id == town_id, *_conditions(wanted_beads))
    return await fetch_page(session, query, order=col(BeadRow.bead_id), wanted=wanted)


def _conditions(query: BeadQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.rig_id is not None:
        found.append(col(BeadRow.rig_id) == query.rig_id)
    if query.types is not None:
        found.append(col(BeadRow.type).in_(query.types))
    if query.statuses is not None:
        found.append(col(BeadRow.status).in_(query.statuses))
    if query.roles is not None:
        found.append(col(BeadRow.effective_role).in_(query.roles))
    if query.labels is not None:
        found.append(holds_any(col(BeadRow.labels), query.labels))
    if query.title_contains:
        found.append(col(BeadRow.search_title).contains(query.title_contains.casefold(), autoescape=True))
    return found


async def revisions_page(session: AsyncSession, town_id: str, bead_id: str, wanted: Slice) -> Page[BeadRevisionRow]:
    params, order = {"town_id": town_id, "bead_id": bead_id}, col(BeadRevisionRow.revision)
    return await fetch_known_page(session, _REVISIONS_OF, params, order=order, wanted=wanted, descending=True)


def _in_force_at(at: datetime) -> ColumnElement[bool]:
    """That a revision is the one its bead had at an instant: it had begun, and the next one had not."""
    later = aliased(BeadRevisionRow)
    begun_later = (
        select(col(later.revision))
        .where(
            col(later.town_id) == col(BeadRevisionRow.town_id),
            col(later.bead_id) == col(BeadRevisionRow.bead_id),
            col(later.revision) == col(BeadRevisionRow.revision) + 1,
            col(later.at) <= at,
        )
        .exists()
    )
    return and_(col(BeadRevisionRow.at) <= at, ~begun_later)


async def revisions_at(
    session: AsyncSession, town_id: str, bead_ids: Iterable[str], at: datetime
) -> dict[str, BeadRevisionRow]:
    """The beads as they stood at an instant; those that did not exist yet are left out.

    However many revisions a bead has, its last one by then is looked up. SQLite has no lateral join; an outer one keeps
    it from beginning with all revisions of the town.
    """
    query = _revisions_at(session.get_bind().dialect.name)
    params = {"town_id": town_id, "bead_ids": given(bead_ids), "instant": at}
    found: Sequence[BeadRevisionRow | None] = (await session.exec(query, params=params)).all()
    return {revision.bead_id: revision for revision in found if revision is not None}


@cache
def _revisions_at(dialect: str) -> Any:
    row, wanted = BeadRevisionRow, table_given("bead_ids")
    town_id: Any = bindparam("town_id", type_=Key)
    at = bindparam("instant", type_=Instant)
    its = (col(row.town_id) == town_id, col(row.bead_id) == wanted.c.value)
    if dialect == "sqlite":
        earlier = aliased(row)
        of_it = (col(earlier.town_id) == town_id, col(earlier.bead_id) == wanted.c.value)
        began = select(func.max(col(earlier.at))).where(*of_it, col(earlier.at) <= at).scalar_subquery()
        return select(row).select_from(wanted).outerjoin(row, and_(*its, col(row.at) == began))
    last = select(row).where(*its, col(row.at) <= at).order_by(col(row.at).desc()).limit(1).lateral()
    return select(aliased(row, last)).select_from(wanted.join(last, true()))


async def states_at(
    session: AsyncSession, keys: Iterable[tuple[str, str, datetime]]
) -> dict[tuple[str, str, datetime], BeadRevisionRow]:
    """Beads as they stood, for keys (town id, bead id, instant): a statement for each town and instant."""
    wanted: dict[tuple[str, datetime], list[str]] = {}
    for town_id, bead_id, at in keys:
        wanted.setdefault((town_id, at), []).append(bead_id)
    found = {}
    for (town_id, at), bead_ids in wanted.items():
        for bead_id, row in (await revisions_at(session, town_id, bead_ids, at)).items():
            found[town_id, bead_id, at] = row
    return found


async def active_signatures(session: AsyncSession, town_id: str, at: datetime | None) -> dict[str, int]:
    """How many active beads there are of each task signature: now (`at` None), or as they stood at an instant."""
    table = BeadRow if at is None else BeadRevisionRow
    query = (
        select(col(table.signature), func.count())
        .where(
            col(table.town_id) == town_id,
            col(table.active) == true(),
            *(() if at is None else (_in_force_at(at),)),
        )
        .group_by(col(table.signature))
        .order_by(col(table.signature))
    )
    return {signature: count for signature, count in await session.exec(query)}  # noqa: C416  # rows are no pairs


async def active_beads_page(
    session: AsyncSession, town_id: str, signatures: Iterable[str], at: datetime | None, wanted: Slice
) -> Page[BeadRow | BeadRevisionRow]:
    """The active beads with one of `signatures`, by bead id: now (`at` None), or as they stood at an instant."""
    if at is None:
        now = select(BeadRow).where(
            BeadRow.town_id == town_id,
            col(BeadRow.active) == true(),
            is_among(col(BeadRow.signature), signatures),
        )
        return await fetch_page(session, now, order=col(BeadRow.bead_id), wanted=wanted)
    then = select(BeadRevisionRow).where(
        BeadRevisionRow.town_id == town_id,
        col(BeadRevisionRow.active) == true(),
        is_among(col(BeadRevisionRow.signature), signatures),
        _in_force_at(at),
    )
    return await fetch_page(session, then, order=col(BeadRevisionRow.bead_id), wanted=wanted)
