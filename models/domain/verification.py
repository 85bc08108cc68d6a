"""Verification of a chain: whether each entry follows from the one before, and whether a known head is in it.

It believes nothing but bytes and hashes. What entries say of each other's contents is the business of `replay`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.domain.audit import GENESIS, Entry, entry_hash, read_entry


class FaultCode(StrEnum):
    """The closed list of what can be wrong with a chain, or with what is stored beside it."""

    UNREADABLE = "unreadable"
    TRANSPLANTED = "transplanted"
    GAP = "gap"
    FORK = "fork"
    BROKEN_LINK = "broken_link"
    CHANGED = "changed"
    OUT_OF_TIME = "out_of_time"
    TAIL_CUT = "tail_cut"
    HEAD_DIFFERS = "head_differs"
    CONTRADICTION = "contradiction"
    COLUMNS_DIFFER = "columns_differ"
    ROW_MISSING = "row_missing"
    ROW_DIFFERS = "row_differs"
    ROW_UNEXPLAINED = "row_unexplained"
    EXPORT_CUT = "export_cut"
    EXPORT_BROKEN = "export_broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first thing that is wrong with a chain. `sequence` is None where no entry is to blame: a row has none."""

    code: FaultCode
    sequence: int | None
    message: str


class ChainBrokenError(Exception):
    """Raised where a chain stops to be believable."""

    def __init__(self, code: FaultCode, sequence: int | None, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(code=code, sequence=sequence, message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last entry of a chain, or one that is expected in it. Sequence 0 is that of a chain without entries."""

    sequence: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What came of verifying a chain: how many entries it was made of, where it ended, and the first fault, if any.

    `head` is the last entry that was found good.
    """

    chain: str
    entries: int
    head: Head
    fault: Fault | None = None

    @property
    def ok(self) -> bool:
        return self.fault is None


class ChainCheck:
    """Follows a chain entry by entry.

    `whole` says that it has to begin with its first entry; of a part, the first entry's place is taken on trust.
    """

    def __init__(self, chain: str, *, expected: Head | None = None, whole: bool = True) -> None:
        self.chain = chain
        self.entries = 0
        self._place = Head()  # of the entry that the next one has to follow
        self._expected = expected
        self._expected_seen = expected == Head()  # which every chain has
        self._is_placed = whole  # whether it is known which entry comes next
        self._last: datetime | None = None

    @property
    def head(self) -> Head:
        """The last entry that was found good."""
        return self._place if self.entries else Head()

    @property
    def next_sequence(self) -> int:
        return self._place.sequence + 1

    def follow(self, canonical: bytes, stored_hash: str) -> Entry:
        """The next entry, once it is sure that it follows. Raises `ChainBrokenError`."""
        entry = self._read(canonical)
        if not self._is_placed and entry.sequence > 1:
            self._place = Head(sequence=entry.sequence - 1, hash=entry.previous_hash)
        self._is_placed = True
        if entry_hash(entry.previous_hash, canonical) != stored_hash:
            raise self.broken(FaultCode.CHANGED, "the entry's bytes do not give its hash")
        if entry.chain != self.chain:
            raise self.broken(FaultCode.TRANSPLANTED, f"the entry belongs to the chain {entry.chain!r}")
        self._check_place(entry)
        self._check_expected(stored_hash)
        self._place = Head(sequence=entry.sequence, hash=stored_hash)
        self.entries += 1
        self._last = entry.occurred_at
        return entry

    def finish(self) -> None:
        """To be called after the last entry. Raises `ChainBrokenError` where the expected head did not come."""
        expected, last = self._expected, self._place.sequence
        if expected is None or self._expected_seen:
            return
        if expected.sequence > last:
            message = f"the chain ends at {last}, before the expected head {expected.sequence}"
            raise self.broken(FaultCode.TAIL_CUT, message)
        message = f"the expected head {expected.sequence} lies before the first entry, or is none"
        raise ChainBrokenError(FaultCode.HEAD_DIFFERS, expected.sequence, message)

    def broken(self, code: FaultCode, message: str) -> ChainBrokenError:
        """A fault at the place of the next entry, which in a part is not known before its first."""
        return ChainBrokenError(code, self.next_sequence if self._is_placed else None, message)

    def _read(self, canonical: bytes) -> Entry:
        try:
            return read_entry(canonical)
        except ValueError as error:
            raise self.broken(FaultCode.UNREADABLE, f"the bytes are no entry: {error}") from error

    def _check_place(self, entry: Entry) -> None:
        place = self._place
        if entry.sequence > place.sequence + 1:
            raise self.broken(FaultCode.GAP, f"the entry is missing; the next one there is {entry.sequence}")
        if entry.sequence <= place.sequence:
            message = f"the chain has another entry {entry.sequence} after {place.sequence}"
            raise ChainBrokenError(FaultCode.FORK, entry.sequence, message)
        if entry.previous_hash != place.hash:
            raise self.broken(FaultCode.BROKEN_LINK, "the entry does not name the hash of the one before")
        if self._last is not None and entry.occurred_at <= self._last:
            raise self.broken(FaultCode.OUT_OF_TIME, "the entry is no later than the one before")

    def _check_expected(self, stored_hash: str) -> None:
        expected = self._expected
        if expected is None or expected.sequence != self.next_sequence:
            return
        if expected.hash != stored_hash:
            message = f"the expected head has the hash {expected.hash}, the entry {stored_hash}"
            raise self.broken(FaultCode.HEAD_DIFFERS, message)
        self._expected_seen = True
