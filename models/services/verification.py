"""Verification of what is stored: each chain by itself, and every row against the entry that has to tell of it.

The chain is replayed; the rows that it calls for are compared column by column with those that are there. All of it
happens in one snapshot, in streams, in bounded memory. Restart signals follow from the rest and are not looked at.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final

from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.audit import CENTRAL_CHAIN, Entry
from models.domain.errors import NotFound, Refused
from models.domain.replay import Replay
from models.domain.tokens import Grant
from models.domain.told import BeadTold, ObservationTold, ProfileTold, SetTold
from models.domain.verification import ChainBrokenError, ChainCheck, Fault, FaultCode, Head, Verification
from models.domain.vocabulary import is_id, is_storable
from models.services import expectation
from models.services.expectation import ProfileShelf, SetHistory
from models.services.final_state import compare_final_state
from models.services.matching import differing_columns, match, unexplained
from models.store.audit import AuditEntryRow
from models.store.queries import policies, towns
from models.store.queries.record import Place, Record, RowStream, Streams, UnreadableRowError
from models.store.unit import Store

Progress = Callable[[int], None]  # called as entries are looked at, with how many

_REVISION: Final = frozenset({"revision"})  # its numbers are looked at for all revisions of a bead at once


async def verify_all(
    store: Store, *, expected: Head | None = None, progress: Progress | None = None
) -> AsyncGenerator[Verification, None]:
    """Verify every chain and every row that belongs to one, in one snapshot; `expected` is a head of the central one.

    Gives what came of each chain, in the order of their names.
    """
    async with store.read() as session:
        record = Record(session, None)
        waiting = await record.chains()
        streams = await record.open()
        shelf = ProfileShelf(session)
        while True:
            ahead = [await stream.next_chain() for stream in (streams.entries, *streams.beside_entries())]
            chain = min((it for it in (*waiting[:1], *ahead) if it is not None), default=None)
            if chain is None:
                return
            waiting = waiting[1:] if waiting[:1] == [chain] else waiting
            head = expected if chain == CENTRAL_CHAIN else None
            yield await _ChainVerifier(session, record, streams, shelf, chain, head, progress).run()


async def verify_one(
    store: Store, grant: Grant, chain: str, *, expected: Head | None = None, progress: Progress | None = None
) -> Verification:
    """Verify one chain with the rows that belong to it. Raises `Refused` with `NOT_FOUND` for an unknown town."""
    async with store.long_reads, store.read() as session:
        if chain != CENTRAL_CHAIN and not (is_id(chain) and await towns.heads(session, [grant.concealed(chain)])):
            raise Refused(NotFound(kind="town", name=chain, path=("townId",)))
        record = Record(session, chain)
        shelf = ProfileShelf(session)
        return await _ChainVerifier(session, record, await record.open(), shelf, chain, expected, progress).run()


async def count_entries(store: Store, chain: str | None) -> int:
    """How many entries a verification will look at; of all chains where `chain` is None."""
    if chain is not None and not is_storable(chain):
        return 0
    async with store.read() as session:
        return await Record(session, chain).count()


class _ChainVerifier:
    """One chain under verification."""

    def __init__(
        self,
        session: AsyncSession,
        record: Record,
        streams: Streams,
        shelf: ProfileShelf,
        chain: str,
        expected: Head | None,
        progress: Progress | None,
    ) -> None:
        self._session = session
        self._record = record
        self._streams = streams
        self._chain = chain
        self._check = ChainCheck(chain, expected=expected)
        self._replay = Replay(chain)
        self._sets = SetHistory(chain, shelf)
        self._progress = progress or (lambda _count: None)
        self._last: Entry | None = None
        self._entries = 0

    async def run(self) -> Verification:
        """Follow the chain to its end or to the first fault; leaves all streams at the next chain."""
        fault = None
        try:
            while row := await self._next_entry():
                await self._look_at(row)
            self._check.finish()
            await self._compare_what_stands()
        except ChainBrokenError as broken:
            fault = broken.fault
            await self._leave()
        except (UnreadableRowError, Refused, ValueError, LookupError) as error:  # values that no row of ours holds
            fault = Fault(code=FaultCode.ROW_DIFFERS, sequence=None, message=str(error))
            await self._leave()
        return Verification(chain=self._chain, entries=self._entries, head=self._check.head, fault=fault)

    async def _leave(self) -> None:
        """Pass over what is left of the chain."""
        left = await self._streams.entries.skip(self._chain)
        self._entries += left
        self._progress(left)
        for stream in self._streams.beside_entries():
            await stream.skip(self._chain)

    async def _next_entry(self) -> AuditEntryRow | None:
        row = await self._streams.entries.next_row(self._chain)
        if row is not None:
            self._entries += 1
            self._progress(1)
        return row

    async def _look_at(self, row: AuditEntryRow) -> None:
        place = self._check.next_sequence
        if row.sequence == place:
            entry = self._check.follow(row.canonical, row.hash)
        else:
            code, what = (FaultCode.GAP, "is missing") if row.sequence > place else (FaultCode.FORK, "is there twice")
            raise ChainBrokenError(code, min(row.sequence, place), f"the entry {min(row.sequence, place)} {what}")
        if differing := differing_columns(_columns_of(entry), row):
            raise ChainBrokenError(
                FaultCode.COLUMNS_DIFFER, entry.sequence, f"its columns {differing} belie the entry's bytes"
            )
        self._last = entry
        try:
            await self._compare_what_was_told(entry)
        except (Refused, ValueError, LookupError) as error:
            raise ChainBrokenError(FaultCode.ROW_DIFFERS, entry.sequence, str(error)) from error

    async def _compare_what_was_told(self, entry: Entry) -> None:
        beads: list[BeadTold] = []
        for told in self._replay.apply(entry):
            if isinstance(told, BeadTold):
                beads.append(told)
            elif isinstance(told, SetTold):
                row, rules = await self._sets.rows(entry, told)
                await self._claim(entry, self._streams.override_sets, told.version, [row])
                await self._claim(entry, self._streams.overrides, told.version, rules)
            elif isinstance(told, ObservationTold):
                seen = expectation.observation_row(entry, told)
                await self._claim(entry, self._streams.observations, told.sequence, [seen])
            else:
                await self._compare_profile(entry, told)
        if beads:
            await self._compare_beads(entry, beads)

    async def _compare_profile(self, entry: Entry, told: ProfileTold) -> None:
        row, rules = expectation.profile_rows(entry, told)
        await self._claim(entry, self._streams.profile_versions, entry.occurred_at, [row])
        key = (row.owner, row.name, row.version)
        stored = (await policies.profile_rules(self._session, [key])).get(key, [])
        match(entry.sequence, rules, stored)

    async def _compare_beads(self, entry: Entry, told: Sequence[BeadTold]) -> None:
        """All revisions have to be there, and of the beads those that nothing was told of since."""
        rows = {it.bead_id: expectation.bead_rows(entry, it) for it in told}
        revised = [rows[it.bead_id][1] for it in told if it.revised]
        await self._claim(entry, self._streams.revisions, entry.occurred_at, revised, aside=_REVISION)
        standing = await self._take(self._streams.beads, entry.occurred_at)
        retitled = [it.bead_id for it in told if not it.revised]  # revisions tell of the others
        if (bead_id := await self._record.older_bead(self._chain, retitled, entry.occurred_at)) is not None:
            raise ChainBrokenError(FaultCode.ROW_DIFFERS, entry.sequence, f"beads {bead_id} stands as it did before")
        expected = [rows[bead.bead_id][0] for bead in standing if bead.bead_id in rows]
        match(entry.sequence, expected, standing, aside=_REVISION)

    async def _claim(
        self,
        entry: Entry,
        stream: RowStream[Any],
        place: Place,
        expected: Sequence[SQLModel],
        *,
        aside: frozenset[str] = frozenset(),
    ) -> None:
        """Hold what `entry` calls for at `place` against what is stored there, and pass no row over."""
        match(entry.sequence, expected, await self._take(stream, place), aside=aside)

    async def _take(self, stream: RowStream[Any], place: Place | None = None) -> Sequence[Any]:
        found, passed = await stream.take(self._chain, place)
        if passed is not None:
            raise unexplained(passed)
        return found

    async def _compare_what_stands(self) -> None:
        """What is left of the chain's rows once all its entries are told."""
        for stream in self._streams.beside_entries():
            await self._take(stream)
        await compare_final_state(self._session, self._record, self._replay, self._check.head, self._last)


def _columns_of(entry: Entry) -> dict[str, object]:
    """The columns that repeat parts of an entry, as its bytes have them."""
    return {
        "sequence": entry.sequence,
        "occurred_at": entry.occurred_at,
        "action": entry.change.action,
        "actor_id": entry.actor.actor_id,
        "target_type": entry.change.target_type.value,
        "target_id": entry.change.target_id,
        "request_id": entry.request_id,
    }
