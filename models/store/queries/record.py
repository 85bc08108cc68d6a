"""All that entries tell of, as streams in the order of the chains: for verification, in bounded memory."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, true
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.audit import CENTRAL_CHAIN
from models.store.access import TokenRow
from models.store.audit import AuditEntryRow
from models.store.mayor import MayorObservationRow, MayorSignalRow
from models.store.policies import (
    ModelRow,
    OverrideRow,
    OverrideSetRow,
    ProfileRow,
    ProfileRuleRow,
    ProfileVersionRow,
)
from models.store.queries.json_texts import is_among
from models.store.queries.spelling import misspelt
from models.store.towns import BeadRevisionRow, BeadRow, BeadState, HeadRow, RigRow, TownRow

R = TypeVar("R", bound=SQLModel)
Place = int | datetime

_AT_ONCE: Final = 200


class UnreadableRowError(Exception):
    """Raised where a row holds what no column of its table can mean: text that is no instant, an unknown word."""


class RowStream(Generic[R]):
    """Rows by chain and place, of which the next one can be looked at before it is taken.

    It ends at a row that can't be read; whoever asks for rows then hears of it by `UnreadableRowError`.
    """

    def __init__(self, table: type[R], chunks: AsyncIterator[Sequence[Any]], place: Callable[[R], Place]) -> None:
        self._table = table
        self._chunks = chunks
        self._place = place
        self._chunk: Sequence[Any] = ()
        self._next = 0
        self._unreadable: Exception | None = None

    async def next_chain(self) -> str | None:
        """The chain of the next row; None after the last."""
        while self._next == len(self._chunk):
            try:
                chunk = None if self._unreadable else await anext(self._chunks, None)
            except (ValueError, LookupError, TypeError) as error:  # by a column's type, which can't make sense of it
                self._unreadable, chunk = error, None
            if chunk is None:
                return None
            self._chunk, self._next = chunk, 0
        chain: str = self._chunk[self._next][0]
        return chain

    async def next_row(self, chain: str) -> R | None:
        """The next row of `chain`, whatever its place."""
        if await self._ahead() != chain:
            return None
        return self._step()

    async def take(self, chain: str, place: Place | None = None) -> tuple[list[R], R | None]:
        """The rows of `chain` at `place`, and the first of those that came before it, which no one asked for.

        Without a place: no rows, and the first of all that are left of the chain.
        """
        found: list[R] = []
        passed: R | None = None
        while await self._ahead() == chain:
            here = self._place(self._chunk[self._next][1])
            if place is not None and here > place:  # type: ignore[operator]  # places of a stream are of one kind
                break
            row = self._step()
            if here == place:
                found.append(row)
            else:
                passed = passed or row
        return found, passed

    async def skip(self, chain: str) -> int:
        """Leave out what is left of `chain`; gives how many rows that were."""
        count = 0
        while await self.next_chain() == chain:
            self._step()
            count += 1
        return count

    async def _ahead(self) -> str | None:
        chain = await self.next_chain()
        name = self._table.__tablename__
        if chain is None and self._unreadable is not None:
            raise UnreadableRowError(f"{name} holds a row that can't be read: {self._unreadable}")
        if chain is not None and self._chunk[self._next][2]:
            raise UnreadableRowError(f"{name} holds a row with a value spelt as none of ours is")
        return chain

    def _step(self) -> R:
        row: R = self._chunk[self._next][1]
        self._next += 1
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """All streams of a record, each read as far as its own chain and place."""

    entries: RowStream[AuditEntryRow]
    override_sets: RowStream[OverrideSetRow]
    overrides: RowStream[OverrideRow]
    observations: RowStream[MayorObservationRow]
    revisions: RowStream[BeadRevisionRow]
    beads: RowStream[BeadRow]
    profile_versions: RowStream[ProfileVersionRow]

    def beside_entries(self) -> tuple[RowStream[Any], ...]:
        """The streams of rows that an entry has to explain."""
        return (
            self.override_sets,
            self.overrides,
            self.observations,
            self.revisions,
            self.beads,
            self.profile_versions,
        )


class Record:
    """The streams of one chain (`only`), or of all, over one session: a snapshot that they all see."""

    def __init__(self, session: AsyncSession, only: str | None) -> None:
        self._session = session
        self._only = only

    async def chains(self) -> list[str]:
        """Every chain with a head, a town, a rig or a profile; more may show in the streams."""
        if self._only is not None:
            return [self._only]
        found: set[str] = set()
        for owner in (HeadRow.chain, TownRow.town_id, RigRow.town_id, ProfileRow.owner):
            found.update(await self._session.exec(select(owner).distinct()))
        return sorted(found)

    async def count(self) -> int:
        """How many entries there are."""
        query = select(func.count()).select_from(AuditEntryRow).where(self._is_wanted(col(AuditEntryRow.chain)))
        return (await self._session.exec(query)).one()

    async def open(self) -> Streams:
        """All streams from their beginning."""
        sets, rules, seen = OverrideSetRow, OverrideRow, MayorObservationRow
        revision, bead = BeadRevisionRow, BeadRow
        entry = AuditEntryRow
        return Streams(
            entries=await self._stream(entry, entry.chain, entry.sequence, place=lambda it: it.sequence),
            override_sets=await self._stream(sets, sets.town_id, sets.version, place=lambda it: it.version),
            overrides=await self._stream(rules, rules.town_id, rules.version, rules.key, place=lambda it: it.version),
            observations=await self._stream(seen, seen.town_id, seen.sequence, place=lambda it: it.sequence),
            revisions=await self._stream(
                revision, revision.town_id, revision.at, revision.bead_id, place=lambda it: it.at
            ),
            beads=await self._stream(bead, bead.town_id, bead.updated_at, bead.bead_id, place=lambda it: it.updated_at),
            profile_versions=await self._profile_versions(),
        )

    async def _profile_versions(self) -> RowStream[ProfileVersionRow]:
        """By the chain that tells of them: the town's for a version that was made with the town, else the central."""
        row = ProfileVersionRow
        made_with = and_(col(TownRow.town_id) == col(row.owner), col(TownRow.created_at) == col(row.published_at))
        chain = case((col(TownRow.town_id).is_not(None), col(row.owner)), else_=literal(CENTRAL_CHAIN))
        query = select(chain, row).outerjoin(TownRow, made_with).where(self._is_wanted(chain))
        order = (chain, col(row.published_at), col(row.owner), col(row.name), col(row.version))
        return await self._run(row, query.order_by(*order), lambda it: it.published_at)

    async def misfit_bead(self, chain: str) -> str | None:
        """A bead of the town that is not as its last revision says, or whose revisions have a gap."""
        row, other = BeadRevisionRow, aliased(BeadRevisionRow)
        same_bead = and_(col(other.town_id) == col(row.town_id), col(other.bead_id) == col(row.bead_id))
        later = select(other.revision).where(same_bead, col(other.revision) == col(row.revision) + 1)
        earlier = select(other.revision).where(
            same_bead, col(other.revision) == col(row.revision) - 1, col(other.at) < col(row.at)
        )
        stands = and_(
            col(BeadRow.revision) == col(row.revision),
            col(BeadRow.updated_at) >= col(row.at),
            *(getattr(BeadRow, field).is_not_distinct_from(getattr(row, field)) for field in BeadState.model_fields),
        )
        bead = and_(col(BeadRow.town_id) == col(row.town_id), col(BeadRow.bead_id) == col(row.bead_id))
        query = (
            select(row.bead_id)
            .outerjoin(BeadRow, bead)
            .where(
                row.town_id == chain,
                or_(
                    and_(~later.exists(), func.coalesce(stands, ~true()) != true()),
                    and_(col(row.revision) != 1, ~earlier.exists()),
                ),
            )
            .order_by(col(row.bead_id))
            .limit(1)
        )
        return (await self._session.exec(query)).one_or_none()

    async def older_bead(self, chain: str, bead_ids: Sequence[str], at: datetime) -> str | None:
        """One of the town's beads `bead_ids` that stands as it was synced before `at`."""
        if not bead_ids:
            return None
        row = BeadRow
        query = select(row.bead_id).where(
            row.town_id == chain, is_among(col(row.bead_id), bead_ids), col(row.updated_at) < at
        )
        return (await self._session.exec(query.limit(1))).one_or_none()

    async def orphaned_rule(self, chain: str) -> ProfileRuleRow | None:
        """A rule of a version that is not there, of the town's profiles, or for the central chain of anyone's."""
        row, version = ProfileRuleRow, ProfileVersionRow
        query = (
            select(row)
            .outerjoin(
                version,
                and_(
                    col(version.owner) == col(row.owner),
                    col(version.name) == col(row.name),
                    col(version.version) == col(row.version),
                ),
            )
            .where(col(version.version).is_(None), true() if chain == CENTRAL_CHAIN else row.owner == chain)
        )
        return (await self._session.exec(query.limit(1))).one_or_none()

    async def last_signal(self, chain: str) -> int:
        """The sequence of the town's last restart signal; 0 where it had none."""
        row = MayorSignalRow
        query = select(func.coalesce(func.max(row.sequence), 0)).where(row.town_id == chain)
        return (await self._session.exec(query)).one()

    async def misspelt_row(self, chain: str) -> str | None:
        """The name of a table without a stream that has a row of the chain which reads like one of ours and is not."""
        central: dict[type[SQLModel], Any] = {ModelRow: true(), TokenRow: true()} if chain == CENTRAL_CHAIN else {}
        tables: dict[type[SQLModel], Any] = {
            HeadRow: HeadRow.chain == chain,
            TownRow: TownRow.town_id == chain,
            RigRow: RigRow.town_id == chain,
            ProfileRow: ProfileRow.owner == chain,
            ProfileRuleRow: ProfileRuleRow.owner == chain,
            **central,
        }
        for table, of_chain in tables.items() if self._sqlite else ():
            found = await self._session.exec(select(literal(1)).where(of_chain, misspelt(table, sqlite=True)).limit(1))
            if found.first() is not None:
                return str(table.__tablename__)
        return None

    @property
    def _sqlite(self) -> bool:
        return self._session.get_bind().dialect.name == "sqlite"

    def _is_wanted(self, chain: Any) -> ColumnElement[bool]:
        wanted: ColumnElement[bool] = true() if self._only is None else chain == self._only
        return wanted

    async def _stream(self, row: type[R], chain: Any, *order: Any, place: Callable[[R], Place]) -> RowStream[R]:
        query = select(col(chain), row).where(self._is_wanted(col(chain)))
        return await self._run(row, query.order_by(col(chain), *map(col, order)), place)

    async def _run(self, table: type[R], query: Any, place: Callable[[R], Place]) -> RowStream[R]:
        query = query.add_columns(misspelt(table, sqlite=self._sqlite))
        result = await self._session.stream(query, execution_options={"yield_per": _AT_ONCE})
        return RowStream(table, result.partitions(), place)
