"""A chain is followed to its end or to the first fault; what is done to single entries is in test_forgeries."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import pytest

from models.domain.audit import CENTRAL_CHAIN, GENESIS, instant_text
from models.domain.canonical import canonical_bytes
from models.domain.verification import ChainBrokenError, ChainCheck, FaultCode, Head
from tests.following import verify_chain
from tests.forgery import with_entry
from tests.histories import LINKS, MORNING, TOWN, Link, fields_of, head_of, relinked

CHAIN: Final = LINKS[TOWN]
LAST: Final = len(CHAIN)
ELSEWHERE: Final = LINKS[CENTRAL_CHAIN]
A_HASH: Final = "ab" * 32


def fault_of(
    links: Sequence[Link], expected: Head | None = None, *, whole: bool = True
) -> tuple[FaultCode, int | None] | None:
    fault = verify_chain(TOWN, links, expected=expected, whole=whole).fault
    return None if fault is None else (fault.code, fault.sequence)


def with_other(index: int, **changed: object) -> list[Link]:
    """The chain with fields changed at `index` and the right hash there."""
    return with_entry(CHAIN, index, {**fields_of(CHAIN[index]), **changed}, rehashed=True)


def other_entry(index: int) -> Link:
    """Another entry for that place, sound in itself."""
    return relinked(with_other(index, reason="Another."), index)[index]


# ---- entries that are not where they should be


@pytest.mark.parametrize(
    ("links", "fault"),
    [
        ([*CHAIN[:4], *CHAIN[5:]], (FaultCode.GAP, 5)),
        (CHAIN[1:], (FaultCode.GAP, 1)),
        ([CHAIN[1], CHAIN[0], *CHAIN[2:]], (FaultCode.GAP, 1)),
        ([*CHAIN[:6], CHAIN[7], CHAIN[6], *CHAIN[8:]], (FaultCode.GAP, 7)),
        ([*CHAIN[:3], CHAIN[2], *CHAIN[3:]], (FaultCode.FORK, 3)),
        ([*CHAIN[:3], other_entry(2), *CHAIN[3:]], (FaultCode.FORK, 3)),
        ([*CHAIN, CHAIN[0]], (FaultCode.FORK, 1)),
        ([*CHAIN[:2], other_entry(2), *CHAIN[3:]], (FaultCode.BROKEN_LINK, 4)),
        ([*CHAIN[:2], ELSEWHERE[2], *CHAIN[3:]], (FaultCode.TRANSPLANTED, 3)),
        (ELSEWHERE, (FaultCode.TRANSPLANTED, 1)),
        (with_other(2, previousHash=A_HASH), (FaultCode.BROKEN_LINK, 3)),
        (with_other(0, previousHash=A_HASH), (FaultCode.BROKEN_LINK, 1)),
        ([*CHAIN[:2], (CHAIN[2][0], A_HASH), *CHAIN[3:]], (FaultCode.CHANGED, 3)),
        ([*CHAIN[:2], (CHAIN[2][0], CHAIN[2][1].upper()), *CHAIN[3:]], (FaultCode.CHANGED, 3)),
        ([*CHAIN[:2], (b"", CHAIN[2][1]), *CHAIN[3:]], (FaultCode.UNREADABLE, 3)),
    ],
)
def test_chain__with_an_entry_out_of_place__is_broken_there(
    links: Sequence[Link], fault: tuple[FaultCode, int]
) -> None:
    assert fault_of(links) == fault


def test_chain__whose_sound_fork_is_followed__holds_without_a_head_and_not_with_one() -> None:
    fork = relinked(with_other(5, reason="Another."), 5)
    assert fault_of(fork) is None
    assert fault_of(fork, head_of(CHAIN)) == (FaultCode.HEAD_DIFFERS, LAST)
    assert fault_of(fork, head_of(CHAIN[:6])) == (FaultCode.HEAD_DIFFERS, 6)
    assert fault_of(fork, head_of(CHAIN[:5])) is None


@pytest.mark.parametrize("later", [timedelta(0), timedelta(microseconds=-1), timedelta(days=-1)])
def test_entry__no_later_than_the_one_before__is_out_of_time(later: timedelta) -> None:
    instant = MORNING + timedelta(minutes=1) + later
    forged = relinked(with_other(2, occurredAt=instant_text(instant)), 2)
    assert fault_of(forged) == (FaultCode.OUT_OF_TIME, 3)


def test_entry__that_breaks_several_rules__is_told_of_by_its_bytes_first() -> None:
    forged = with_other(2, chain="another", sequence=9, previousHash=A_HASH)
    assert fault_of(forged) == (FaultCode.TRANSPLANTED, 3)
    assert fault_of([*forged[:2], (forged[2][0], A_HASH)]) == (FaultCode.CHANGED, 3)


# ---- heads


@pytest.mark.parametrize("length", range(LAST + 1))
def test_chain__cut_short__holds_unless_the_head_is_known(length: int) -> None:
    cut = CHAIN[:length]
    assert fault_of(cut) is None
    assert fault_of(cut, head_of(CHAIN)) == (None if length == LAST else (FaultCode.TAIL_CUT, length + 1))


@pytest.mark.parametrize("length", range(LAST + 1))
def test_chain__longer_than_the_head_that_was_noted__holds(length: int) -> None:
    assert fault_of(CHAIN, head_of(CHAIN[:length])) is None


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        (Head(sequence=3, hash=A_HASH), (FaultCode.HEAD_DIFFERS, 3)),
        (Head(sequence=3, hash=CHAIN[3][1]), (FaultCode.HEAD_DIFFERS, 3)),
        (Head(sequence=0, hash=A_HASH), (FaultCode.HEAD_DIFFERS, 0)),
        (Head(sequence=3, hash=GENESIS), (FaultCode.HEAD_DIFFERS, 3)),
        (Head(sequence=LAST + 1, hash=CHAIN[-1][1]), (FaultCode.TAIL_CUT, LAST + 1)),
        (Head(sequence=10**9, hash=A_HASH), (FaultCode.TAIL_CUT, LAST + 1)),
    ],
)
def test_head__that_is_not_in_the_chain__is_missed(expected: Head, fault: tuple[FaultCode, int]) -> None:
    assert fault_of(CHAIN, expected) == fault


def test_verification__of_a_broken_chain__ends_with_the_last_entry_found_good() -> None:
    found = verify_chain(TOWN, [*CHAIN[:4], *CHAIN[5:]])
    assert (found.ok, found.chain, found.entries, found.head) == (False, TOWN, 4, head_of(CHAIN[:4]))
    assert found.fault is not None
    assert found.fault.message


# ---- parts


@pytest.mark.parametrize("start", range(LAST))
def test_part__of_a_true_chain__holds(start: int) -> None:
    found = verify_chain(TOWN, CHAIN[start:], expected=head_of(CHAIN), whole=False)
    assert (found.fault, found.entries, found.head) == (None, LAST - start, head_of(CHAIN))


@pytest.mark.parametrize(
    ("links", "fault"),
    [
        (with_other(0, previousHash=A_HASH), (FaultCode.BROKEN_LINK, 1)),
        ([(CHAIN[4][0], A_HASH), *CHAIN[5:]], (FaultCode.CHANGED, 5)),
        ([*CHAIN[4:6], *CHAIN[7:]], (FaultCode.GAP, 7)),
        ([*CHAIN[4:6], *CHAIN[4:]], (FaultCode.FORK, 5)),
        ([(b"{}", A_HASH)], (FaultCode.UNREADABLE, None)),
        ([ELSEWHERE[3]], (FaultCode.TRANSPLANTED, 4)),
    ],
)
def test_part__with_something_amiss__is_broken_there(
    links: Sequence[Link], fault: tuple[FaultCode, int | None]
) -> None:
    assert fault_of(links, whole=False) == fault


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        (Head(), None),
        (head_of(CHAIN[:3]), (FaultCode.HEAD_DIFFERS, 3)),
        (head_of(CHAIN[:4]), (FaultCode.HEAD_DIFFERS, 4)),
        (head_of(CHAIN[:5]), None),
        (Head(sequence=5, hash=A_HASH), (FaultCode.HEAD_DIFFERS, 5)),
    ],
)
def test_head__before_a_part_begins__is_not_in_it(expected: Head, fault: tuple[FaultCode, int] | None) -> None:
    assert fault_of(CHAIN[4:], expected, whole=False) == fault


def test_part__without_entries__has_the_head_of_an_empty_chain() -> None:
    assert verify_chain(TOWN, [], whole=False).head == Head()
    assert fault_of([], head_of(CHAIN), whole=False) == (FaultCode.TAIL_CUT, None)


def test_part__that_breaks_at_once__has_no_head() -> None:
    assert verify_chain(TOWN, [(CHAIN[4][0], A_HASH)], whole=False).head == Head()


# ---- hostile bytes


@pytest.mark.parametrize(
    "forge",
    [
        lambda text: text.replace(b'"sequence":3', b'"sequence":0'),
        lambda text: text.replace(b'"sequence":3', b'"sequence":-3'),
        lambda text: text.replace(b'"sequence":3', b'"sequence":' + b"9" * 5000),
        lambda text: text.replace(b'"reason":"gr', b'"reason":"\\ud800gr'),
        lambda text: text.replace("größer".encode(), b"gr\xff"),
        lambda text: text.replace(b'"before":', b'"before":' + b'{"a":' * 100_000),
        lambda text: text.replace(b"2026-11-23T", b"0000-00-00T"),
        lambda text: text.replace(b"2026-11-23T06:13:38.000000Z", b"0001-01-01T00:00:00.000000+14:00"),
        lambda text: text.decode().encode("utf-16"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda _text: b"\x00" * 700,
        lambda _text: b"[" * 100_000,
    ],
)
def test_entry__of_hostile_bytes__is_unreadable(forge: Callable[[bytes], bytes]) -> None:
    forged = forge(CHAIN[2][0])
    assert forged != CHAIN[2][0]
    assert fault_of([*CHAIN[:2], (forged, CHAIN[2][1])]) == (FaultCode.UNREADABLE, 3)


def test_fault__about_an_entry_that_would_write_to_a_terminal__shows_it_escaped() -> None:
    chain = "\x1b[2K\rtown-1: all is well"
    with pytest.raises(ChainBrokenError) as caught:
        ChainCheck(TOWN).follow(*with_other(0, chain=chain)[0])
    assert str(caught.value).isprintable()


def test_links__made_anew__are_those_of_the_history() -> None:
    assert relinked(CHAIN) == list(CHAIN)
    assert [canonical_bytes(fields_of(link)) for link in CHAIN] == [canonical for canonical, _ in CHAIN]
