"""Verification of an export by itself, offline: from its lines to what came of each chain in it.

The entries are followed and replayed as far as they tell of each other. A whole export begins with a chain's first
entry; of a part (`since`), the place of its first entry is taken on trust.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from models.domain.export import Header, read_entry_line, read_header, read_trailer
from models.domain.replay import Replay
from models.domain.verification import ChainBrokenError, ChainCheck, Fault, FaultCode, Head, Verification

MAX_LINE: Final = 16 * 1024 * 1024  # bytes; a sync of 1,000 beads within the limit of a request stays far below


class NotAnExportError(Exception):
    """Raised for what does not begin as an export does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportVerification:
    """What came of one chain of an export. `first` is the sequence it begins with, 0 where it is empty."""

    verification: Verification
    first: int


def verify_export(
    lines: Iterable[bytes], *, chain: str | None = None, expected: Head | None = None
) -> Iterator[ExportVerification]:
    """Verify each chain of an export; `expected` is a head of `chain`, or of every chain where that is None.

    `lines` end with their line feeds, and may be cut at `MAX_LINE` + 1 bytes. Raises `NotAnExportError`.
    """
    section: _Section | None = None
    for number, line in enumerate(lines, start=1):
        header = read_header(line)
        if header is not None:
            if section is not None:
                yield section.result()
            section = _Section(header, expected if chain in {None, header.chain} else None)
        elif section is None:
            raise NotAnExportError("its first line is not the header of an export that this version knows")
        else:
            section.look_at(number, line)
    if section is None:
        raise NotAnExportError("it is empty")
    yield section.result()


class _Section:
    """One chain of an export, from its header to the next one or the end of the file."""

    def __init__(self, header: Header, expected: Head | None) -> None:
        self._header = header
        self._check = ChainCheck(header.chain, expected=expected, whole=header.since is None)
        self._replay = Replay(header.chain)
        self._fault: Fault | None = None
        self._first = 0
        self._entries = 0
        self._is_over = False

    def look_at(self, number: int, line: bytes) -> None:
        """The next line, whatever it is; after a fault, entries are only counted."""
        stored = read_entry_line(line)
        self._entries += stored is not None
        if self._fault is not None:
            return
        try:
            self._follow(number, line, stored)
        except ChainBrokenError as broken:
            self._fault = broken.fault

    def result(self) -> ExportVerification:
        fault = self._fault
        if fault is None and not self._is_over:
            fault = self._check.broken(FaultCode.EXPORT_CUT, "the export was cut before its end").fault
        return ExportVerification(
            verification=Verification(
                chain=self._header.chain, entries=self._entries, head=self._check.head, fault=fault
            ),
            first=self._first,
        )

    def _follow(self, number: int, line: bytes, stored: tuple[bytes, str] | None) -> None:
        if self._is_over:
            raise self._check.broken(FaultCode.EXPORT_BROKEN, f"line {number} comes after the end")
        if len(line) > MAX_LINE:
            raise self._check.broken(FaultCode.EXPORT_BROKEN, f"line {number} is longer than any entry")
        if stored is not None:
            self._follow_entry(*stored)
        elif (end := read_trailer(line)) is not None:
            self._end(*end)
        elif line.endswith(b"\n"):
            raise self._check.broken(FaultCode.EXPORT_BROKEN, f"line {number} is no line of an export")
        else:
            raise self._check.broken(FaultCode.EXPORT_CUT, f"line {number} was cut")

    def _follow_entry(self, canonical: bytes, stored_hash: str) -> None:
        entry = self._check.follow(canonical, stored_hash)
        self._first = self._first or entry.sequence
        if not self._header.covers(entry.occurred_at):
            message = "the entry lies outside of the time that the export says it is of"
            raise ChainBrokenError(FaultCode.EXPORT_BROKEN, entry.sequence, message)
        self._replay.apply(entry)

    def _end(self, entries: int, head: Head) -> None:
        self._is_over = True
        check = self._check
        if (entries, head) != (check.entries, check.head):
            code = FaultCode.TAIL_CUT if entries > check.entries else FaultCode.EXPORT_BROKEN
            raise check.broken(code, f"the export says that it ends with {head.sequence} after {entries} entries")
        check.finish()
