"""Verification of an export by itself, offline: from its lines to what came of each chain in it.

The entries are followed and replayed as far as they tell of each other. A whole export begins with a chain's first
entry; of a part (`since`), the place of its first entry is taken on trust.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from models.domain.export import FORMAT_VERSION, read_entry_line
from models.domain.replay import Replay
from models.domain.verification import ChainBrokenError, ChainCheck, Fault, FaultCode, Head, Verification

MAX_LINE: Final = 16 * 1024 * 1024  # bytes; a sync of 1,000 beads within the limit of a request stays far below
_HEADER: Final = b'{"townclerkAuditExport":'
_TRAILER: Final = b'{"end":'


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
        if line.startswith(_HEADER) and (section is None or section.is_over):
            if section is not None:
                yield section.result()
            section = _Section(_read_header(line), chain, expected)
        elif section is None:
            raise NotAnExportError("the first line is not the header of an export")
        else:
            section.look_at(number, line)
    if section is None:
        raise NotAnExportError("it is empty")
    yield section.result()


def _read_header(line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
        if header["townclerkAuditExport"] == FORMAT_VERSION and isinstance(header["chain"], str):
            return {"chain": header["chain"], "whole": header["since"] is None}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotAnExportError("its header can't be read") from error
    raise NotAnExportError(f"it is no export of version {FORMAT_VERSION}")


class _Section:
    """One chain of an export, from its header to its trailer."""

    def __init__(self, header: dict[str, Any], chain: str | None, expected: Head | None) -> None:
        name, whole = header["chain"], header["whole"]
        self.is_over = False
        self._chain = name
        self._check = ChainCheck(name, expected=expected if chain in {None, name} else None, whole=whole)
        self._replay = Replay(name, whole=whole)
        self._fault: Fault | None = None
        self._first = 0
        self._entries = 0

    def look_at(self, number: int, line: bytes) -> None:
        """The next line, whatever it is; after a fault nothing is looked at but where the section ends."""
        is_trailer = line.startswith(_TRAILER)
        self._entries += not is_trailer
        try:
            if self.is_over:
                raise self._broken(FaultCode.EXPORT_BROKEN, number, "comes after the end")  # as below
            self.is_over = is_trailer
            if self._fault is not None:
                return
            if len(line) > MAX_LINE:
                raise self._broken(FaultCode.EXPORT_BROKEN, number, "is longer than any entry")
            if not line.endswith(b"}\n"):
                raise self._broken(FaultCode.EXPORT_CUT, number, "has no end")
            if is_trailer:
                self._check_trailer(number, line)
            else:
                self._check_entry(number, line)
        except ChainBrokenError as broken:
            self._fault = self._fault or broken.fault

    def result(self) -> ExportVerification:
        fault = self._fault
        if fault is None and not self.is_over:
            at = self._check.next_sequence
            fault = Fault(code=FaultCode.EXPORT_CUT, sequence=at, message=f"the export was cut before entry {at}")
        return ExportVerification(
            verification=Verification(chain=self._chain, entries=self._entries, head=self._check.head, fault=fault),
            first=self._first,
        )

    def _check_entry(self, number: int, line: bytes) -> None:
        stored = read_entry_line(line)
        if stored is None:
            raise self._broken(FaultCode.EXPORT_BROKEN, number, "is no line of an export")
        entry = self._check.follow(*stored)
        self._first = self._first or entry.sequence
        self._replay.apply(entry)

    def _check_trailer(self, number: int, line: bytes) -> None:
        try:
            end = json.loads(line)["end"]
            told = (end["entries"], Head(sequence=end["head"]["sequence"], hash=end["head"]["hash"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._broken(FaultCode.EXPORT_BROKEN, number, "is no end of an export") from error
        if told != (self._check.entries, self._check.head if self._check.entries else Head()):
            at = self._check.next_sequence
            message = f"the export says that it ends with {told[1].sequence} after {told[0]} entries"
            raise ChainBrokenError(FaultCode.TAIL_CUT, at, message)
        self._check.finish()

    def _broken(self, code: FaultCode, number: int, what: str) -> ChainBrokenError:
        return ChainBrokenError(code, self._check.next_sequence, f"line {number} {what}")
