"""Whatever is done to the lines of an export: where it still holds, the head included, it is what was exported."""

import io
from collections.abc import Sequence
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import export
from models.domain.canonical import canonical_bytes
from models.domain.export_check import NotAnExportError, verify_export
from models.domain.verification import Head
from tests import independent_verifier
from tests.forgery import entry_alterations
from tests.histories import LINKS, TOWN, Link, exported, fields_of, head_of, relinked
from tests.property.strategies import THOROUGH

CHAIN: Final = LINKS[TOWN]
SECTIONS: Final = [tuple(exported(chain, links)) for chain, links in LINKS.items()]
LINES: Final = [line for section in SECTIONS for line in section]

lengths = st.integers(0, len(CHAIN))
places = st.integers(0, len(LINES) - 1)
operations = st.tuples(st.sampled_from(["drop", "swap", "twice", "alter", "cut"]), places, st.integers(0, 10_000))


def operated(lines: Sequence[bytes], operation: str, place: int, where: int) -> list[bytes]:
    """The lines after something was done to that at `place`; `where` is another line, or a bit in it."""
    here = place % len(lines)
    before, line, after = list(lines[:here]), lines[here], list(lines[here + 1 :])
    there = where % len(lines)
    match operation:
        case "drop":
            return [*before, *after]
        case "cut":
            return before
        case "twice":
            return [*lines[:there], line, *lines[there:]]
        case "swap":
            swapped = list(lines)
            swapped[here], swapped[there] = lines[there], lines[here]
            return swapped
        case _:
            altered = bytearray(line)
            altered[where // 8 % len(line)] ^= 1 << where % 8
            return [*before, bytes(altered), *after]


def holds(exported_bytes: bytes, expected: Head | None = None) -> bool:
    """Whether all chains hold; the independent verifier has to say the same."""
    try:
        found = all(it.verification.ok for it in verify_export(io.BytesIO(exported_bytes), expected=expected))
    except NotAnExportError:
        found = False
    head = None if expected is None else (expected.sequence, expected.hash)
    assert found == (independent_verifier.verify(exported_bytes, head) is None)
    return found


def sections_of(exported_bytes: bytes) -> list[tuple[bytes, ...]]:
    sections: list[list[bytes]] = []
    for line in io.BytesIO(exported_bytes):
        if export.read_header(line) is not None:
            sections.append([])
        sections[-1].append(line)
    return [tuple(section) for section in sections]


@settings(THOROUGH, max_examples=300)
@given(st.lists(operations, min_size=1, max_size=4))
def test_export__of_which_lines_were_moved_or_altered__holds_only_as_whole_true_chains(
    done: list[tuple[str, int, int]],
) -> None:
    """A chain that was left out, or is there twice, is not seen in the file: who asks for a chain by name does."""
    lines = LINES
    for operation, place, where in done:
        lines = operated(lines, operation, place, where) or lines
    altered = b"".join(lines)
    if holds(altered):
        assert set(sections_of(altered)) <= set(SECTIONS)


alterations = [[altered for _, altered in entry_alterations(link)] for link in CHAIN]


@st.composite
def forged_chains(draw: st.DrawFn) -> list[Link]:
    """The chain cut, doubled in a place, or with an entry altered, and all hashes made to fit from there on."""
    links = list(CHAIN)
    start = draw(st.integers(0, len(CHAIN) - 1))
    match draw(st.sampled_from(["alter", "drop", "cut", "twice"])):
        case "alter":
            altered = draw(st.sampled_from(alterations[start]))
            links[start] = (canonical_bytes({**altered, "previousHash": fields_of(CHAIN[start])["previousHash"]}), "")
        case "drop":
            del links[start]
        case "cut":
            return links[:start]
        case _:
            links.insert(start, links[start])
    return relinked(links, min(start, len(links))) if links[start:] else links


@settings(THOROUGH, max_examples=300)
@given(forged_chains(), lengths)
def test_export__forged_with_all_its_hashes__holds_only_where_it_is_true_up_to_the_head(
    forged: list[Link], length: int
) -> None:
    [found] = verify_export(exported(TOWN, forged), expected=head_of(CHAIN[:length]))
    if found.verification.ok:
        assert forged[:length] == list(CHAIN[:length])


@THOROUGH
@given(st.binary(max_size=2000), places)
def test_file__that_begins_as_an_export_and_goes_on_anyhow__does_not_hold(rest: bytes, place: int) -> None:
    section = SECTIONS[place % len(SECTIONS)]
    beginning = section[: place % len(section) + 1]
    if tuple(beginning) != section or rest:
        assert not holds(b"".join(beginning) + rest)


def test_sections__of_the_true_export__are_those_it_was_made_of() -> None:
    assert sections_of(b"".join(LINES)) == SECTIONS
