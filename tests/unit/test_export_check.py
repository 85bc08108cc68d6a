"""An export alone, and a head on paper: a true history is told from a forged one. The second verifier agrees."""

import io
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import pytest

from models.domain.audit import CENTRAL_CHAIN
from models.domain.export_check import MAX_LINE, ExportVerification, NotAnExportError, verify_export
from models.domain.verification import FaultCode, Head
from tests import independent_verifier
from tests.forgery import with_entry
from tests.histories import LINKS, MORNING, TOWN, Link, end_of, exported, fields_of, head_of, line_of, relinked

CHAIN: Final = LINKS[TOWN]
LAST: Final = len(CHAIN)
HEAD: Final = head_of(CHAIN)
LINES: Final = exported(TOWN, CHAIN)
HEADER, *ENTRIES, END = LINES
EXPORT: Final = b"".join(LINES)
CENTRAL: Final = b"".join(exported(CENTRAL_CHAIN, LINKS[CENTRAL_CHAIN]))
FORK: Final = relinked(with_entry(CHAIN, 5, {**fields_of(CHAIN[5]), "reason": "Another."}, rehashed=True), 5)

Found = tuple[FaultCode, int | None] | None


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def part(start: int, stop: int = LAST) -> bytes:
    """The entries from index `start` to before `stop`, as an export with since and until has them."""
    since, until = MORNING + minutes(start), MORNING + minutes(stop)
    return b"".join(exported(TOWN, CHAIN[start:stop], first=start + 1, since=since, until=until))


def verified(export: bytes, expected: Head | None = None, chain: str | None = None) -> list[ExportVerification]:
    return list(verify_export(io.BytesIO(export), chain=chain, expected=expected))


def faults(export: bytes, expected: Head | None = None) -> list[Found]:
    """What is wrong with each chain; the independent verifier has to find a fault in the same exports."""
    found = [each.verification.fault for each in verified(export, expected)]
    head = None if expected is None else (expected.sequence, expected.hash)
    assert (independent_verifier.verify(export, head) is None) == (not any(found))
    return [None if fault is None else (fault.code, fault.sequence) for fault in found]


def assert_no_export(export: bytes) -> None:
    assert independent_verifier.verify(export) is not None
    with pytest.raises(NotAnExportError):
        verified(export)


# ---- true exports


def test_export__of_a_true_chain__holds() -> None:
    [found] = verified(EXPORT, HEAD)
    it = found.verification
    assert (it.chain, it.ok, it.entries, it.head, found.first) == (TOWN, True, LAST, HEAD, 1)
    assert faults(EXPORT, HEAD) == [None]


@pytest.mark.parametrize("length", range(LAST + 1))
def test_export__of_a_longer_chain_than_was_noted__holds(length: int) -> None:
    assert faults(EXPORT, head_of(CHAIN[:length])) == [None]


@pytest.mark.parametrize("start", range(LAST))
def test_export__of_a_part__holds_and_says_where_it_begins(start: int) -> None:
    [found] = verified(part(start), HEAD)
    assert (found.verification.fault, found.first) == (None, start + 1)
    assert faults(part(start), HEAD) == [None]


def test_export__without_entries__holds() -> None:
    for empty in (b"".join(exported(TOWN, [])), part(3, 3)):
        assert faults(empty) == faults(empty, Head()) == [None]
        [found] = verified(empty)
        assert (found.first, found.verification.entries, found.verification.head) == (0, 0, Head())


def test_exports__one_after_the_other__are_each_verified() -> None:
    assert faults(CENTRAL + EXPORT + part(4)) == [None, None, None]
    assert [it.verification.chain for it in verified(CENTRAL + EXPORT)] == [CENTRAL_CHAIN, TOWN]


def test_exports__one_after_the_other__have_the_head_of_one_chain() -> None:
    assert [it.verification.ok for it in verified(CENTRAL + EXPORT, HEAD, TOWN)] == [True, True]
    assert [it.verification.ok for it in verified(CENTRAL + EXPORT, HEAD, CENTRAL_CHAIN)] == [False, True]
    assert [it.verification.ok for it in verified(CENTRAL + EXPORT, HEAD)] == [False, True]


def test_exports__one_good_and_one_bad__are_told_apart() -> None:
    cut = b"".join(LINES[:-2]) + END
    assert faults(cut + CENTRAL) == [(FaultCode.TAIL_CUT, LAST), None]
    assert faults(CENTRAL + cut) == [None, (FaultCode.TAIL_CUT, LAST)]


# ---- exports that were cut


@pytest.mark.parametrize("length", range(1, LAST + 2))
def test_export__cut_between_lines__was_cut(length: int) -> None:
    assert faults(b"".join(LINES[:length])) == [(FaultCode.EXPORT_CUT, length)]
    assert faults(b"".join(LINES[:length]), HEAD) == [(FaultCode.EXPORT_CUT, length)]


def test_export__cut_anywhere_in_a_line__was_cut_there() -> None:
    before, line = b"".join(LINES[:3]), LINES[3]
    for length in range(1, len(line)):
        assert faults(before + line[:length]) == [(FaultCode.EXPORT_CUT, 3)]
    for length in range(1, len(END)):
        assert faults(EXPORT[:-length]) == [(FaultCode.EXPORT_CUT, LAST + 1)]


def test_export__cut_in_its_header__is_none() -> None:
    for length in range(len(HEADER)):
        assert_no_export(EXPORT[:length])


def test_export__cut_with_another_after_it__was_cut() -> None:
    found = [(it.verification.fault, it.verification.entries) for it in verified(b"".join(LINES[:4]) + CENTRAL)]
    assert [(fault and (fault.code, fault.sequence), entries) for fault, entries in found] == [
        ((FaultCode.EXPORT_CUT, 4), 3),
        (None, len(LINKS[CENTRAL_CHAIN])),
    ]


def test_tail__cut_and_the_end_made_to_fit__is_missed_by_the_head_alone() -> None:
    shortened = b"".join(exported(TOWN, CHAIN[:9]))
    assert faults(shortened) == [None]
    assert faults(shortened, HEAD) == [(FaultCode.TAIL_CUT, 10)]
    assert faults(b"".join(exported(TOWN, [])), HEAD) == [(FaultCode.TAIL_CUT, 1)]


def test_part__of_which_nothing_is_left__was_cut_at_no_known_place() -> None:
    header = part(4).splitlines(keepends=True)[0]
    assert faults(header) == [(FaultCode.EXPORT_CUT, None)]
    assert faults(header + END) == [(FaultCode.TAIL_CUT, None)]


# ---- lines that are not those that were written


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([HEADER, *ENTRIES[:4], *ENTRIES[5:], END], (FaultCode.GAP, 5)),
        ([HEADER, *ENTRIES[1:], END], (FaultCode.GAP, 1)),
        ([HEADER, *ENTRIES[:4], *ENTRIES[3:], END], (FaultCode.FORK, 4)),
        ([HEADER, *ENTRIES[:6], line_of(FORK[5]), *ENTRIES[6:], END], (FaultCode.FORK, 6)),
        ([HEADER, *ENTRIES[:5], line_of(FORK[5]), *ENTRIES[6:], END], (FaultCode.BROKEN_LINK, 7)),
        ([HEADER, ENTRIES[1], ENTRIES[0], *ENTRIES[2:], END], (FaultCode.GAP, 1)),
        ([HEADER, *ENTRIES[:2], line_of(LINKS[CENTRAL_CHAIN][2]), *ENTRIES[3:], END], (FaultCode.TRANSPLANTED, 3)),
        ([HEADER.replace(b"town-1", b"town-2"), *ENTRIES, END], (FaultCode.TRANSPLANTED, 1)),
        ([HEADER, *ENTRIES[:-1], END], (FaultCode.TAIL_CUT, LAST)),
        ([HEADER, END], (FaultCode.TAIL_CUT, 1)),
        ([HEADER, *ENTRIES, end_of(LAST + 1, HEAD)], (FaultCode.TAIL_CUT, LAST + 1)),
        ([HEADER, *ENTRIES, end_of(LAST - 1, head_of(CHAIN[:-1]))], (FaultCode.EXPORT_BROKEN, LAST + 1)),
        ([HEADER, *ENTRIES, end_of(LAST, head_of(FORK))], (FaultCode.EXPORT_BROKEN, LAST + 1)),
        ([HEADER, *ENTRIES, b'{"end":{}}\n'], (FaultCode.EXPORT_BROKEN, LAST + 1)),
        ([HEADER, *ENTRIES[:3], b"garbage\n", *ENTRIES[3:], END], (FaultCode.EXPORT_BROKEN, 4)),
        ([HEADER, *ENTRIES[:3], b"\n", *ENTRIES[3:], END], (FaultCode.EXPORT_BROKEN, 4)),
        ([HEADER, *ENTRIES[:3], ENTRIES[3][:-1] + b"\r\n", *ENTRIES[4:], END], (FaultCode.EXPORT_BROKEN, 4)),
        ([*LINES, ENTRIES[0]], (FaultCode.EXPORT_BROKEN, LAST + 1)),
        ([*LINES, END], (FaultCode.EXPORT_BROKEN, LAST + 1)),
        ([*LINES, b"\n"], (FaultCode.EXPORT_BROKEN, LAST + 1)),
        ([*LINES, b"garbage"], (FaultCode.EXPORT_BROKEN, LAST + 1)),
        ([*LINES, b"\x00" * 100], (FaultCode.EXPORT_BROKEN, LAST + 1)),
        ([*LINES, HEADER[:-1]], (FaultCode.EXPORT_BROKEN, LAST + 1)),
        ([*LINES, HEADER.replace(b":1,", b":2,"), *ENTRIES, END], (FaultCode.EXPORT_BROKEN, LAST + 1)),
    ],
)
def test_export__with_other_lines__is_broken_there(lines: Sequence[bytes], fault: Found) -> None:
    assert faults(b"".join(lines)) == [fault]


def test_export__whose_header_hides_the_beginning__is_a_part() -> None:
    later = MORNING + minutes(5)
    hidden = exported(TOWN, CHAIN[5:], first=6, since=later)
    [found] = verified(b"".join(hidden))
    assert (found.verification.fault, found.first) == (None, 6)
    assert faults(b"".join([HEADER, *hidden[1:]])) == [(FaultCode.GAP, 1)]


@pytest.mark.parametrize(("since", "until", "sequence"), [(1, 99, 1), (0, 5, 6), (-9, 0, 1)])
def test_export__with_entries_outside_of_its_time__is_broken(since: int, until: int, sequence: int) -> None:
    lines = exported(TOWN, CHAIN, since=MORNING + minutes(since), until=MORNING + minutes(until))
    [found] = verified(b"".join(lines))
    fault = found.verification.fault
    assert fault is not None
    assert (fault.code, fault.sequence) == (FaultCode.EXPORT_BROKEN, sequence)


def test_export__called_a_part_though_it_is_whole__is_replayed_as_a_whole() -> None:
    headless: list[Link] = relinked([(CHAIN[1][0].replace(b'"sequence":2', b'"sequence":1'), "")])
    fields = fields_of(headless[0])
    started = relinked(with_entry(headless, 0, {**fields, "previousHash": "0" * 64}, rehashed=True))
    [found] = verified(b"".join(exported(TOWN, started, since=MORNING)))
    fault = found.verification.fault
    assert fault is not None
    assert (fault.code, fault.sequence) == (FaultCode.CONTRADICTION, 1)


@pytest.mark.parametrize("sequence", range(1, 5))
def test_head__before_a_part_begins__is_not_in_it(sequence: int) -> None:
    assert faults(part(4), head_of(CHAIN[:sequence])) == [(FaultCode.HEAD_DIFFERS, sequence)]


def test_head__of_a_fork__differs() -> None:
    assert faults(EXPORT, head_of(FORK)) == [(FaultCode.HEAD_DIFFERS, LAST)]
    assert faults(b"".join(exported(TOWN, FORK)), HEAD) == [(FaultCode.HEAD_DIFFERS, LAST)]


@pytest.mark.parametrize("length", [MAX_LINE, MAX_LINE + 1])
def test_line__longer_than_any_entry__is_not_looked_at(length: int) -> None:
    canonical = CHAIN[1][0].replace("größer".encode(), b"x" * (length - len(ENTRIES[1]) + len("größer".encode())))
    forged = line_of(relinked([CHAIN[0], (canonical, "")], 1)[1])
    [found] = verify_export([HEADER, ENTRIES[0], forged, end_of(2, Head())])
    fault = found.verification.fault
    assert fault is not None
    assert len(forged) == length
    assert (fault.code, fault.sequence) == (FaultCode.EXPORT_BROKEN, 2 if length > MAX_LINE else 3)


@pytest.mark.parametrize(
    "export",
    [
        b"",
        b"\n",
        b"\xef\xbb\xbf" + EXPORT,
        EXPORT.replace(b"\n", b"\r\n"),
        EXPORT.replace(b"\n", b""),
        EXPORT.decode().encode("utf-16"),
        b"".join(LINES[1:]),
        b"\n" + EXPORT,
        b"x" * 1000,
        bytes(range(256)),
    ],
    ids=len,
)
def test_file__that_does_not_begin_as_an_export__is_none(export: bytes) -> None:
    assert_no_export(export)


# ---- every bit


@pytest.mark.parametrize("index", [0, 2, 4])
def test_bit__flipped_anywhere_in_a_line__is_found(index: int) -> None:
    """In the header, in an entry, in the end."""
    lines = exported(TOWN, CHAIN[:3])
    before, after = b"".join(lines[:index]), b"".join(lines[index + 1 :])
    for place in range(len(lines[index])):
        for bit in range(8):
            line = bytearray(lines[index])
            line[place] ^= 1 << bit
            flipped = before + line + after
            assert independent_verifier.verify(flipped) is not None, (place, bit)
            try:
                assert any(each.verification.fault for each in verified(flipped)), (place, bit)
            except NotAnExportError:
                assert index == 0, (place, bit)
