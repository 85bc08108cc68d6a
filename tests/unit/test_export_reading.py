"""Lines of an export are read to the last byte: what was not written so is none."""

from datetime import datetime, timedelta
from typing import Final

import pytest

from models.domain import export
from models.domain.audit import CENTRAL_CHAIN, GENESIS
from models.domain.export import Header, read_entry_line, read_header, read_trailer
from models.domain.verification import Head
from tests.histories import LINKS, MORNING, TOWN, end_of, line_of

EVENING: Final = MORNING + timedelta(hours=12)
HEADER: Final = export.header(TOWN, since=MORNING, until=None)
TRAILER: Final = end_of(3, Head(sequence=3, hash="ab" * 32))
ENTRY: Final = line_of(LINKS[TOWN][0])


@pytest.mark.parametrize("chain", [TOWN, CENTRAL_CHAIN])
@pytest.mark.parametrize("since", [None, MORNING])
@pytest.mark.parametrize("until", [None, EVENING])
def test_header__as_it_was_written__is_read(chain: str, since: datetime | None, until: datetime | None) -> None:
    line = export.header(chain, since=since, until=until)
    assert read_header(line) == Header(chain=chain, since=since, until=until)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        HEADER[:-1],
        HEADER[:-1] + b"\r\n",
        b"\xef\xbb\xbf" + HEADER,
        b" " + HEADER,
        HEADER + HEADER,
        HEADER.replace(b"Export", b"export"),
        HEADER.replace(b":1,", b":2,"),
        HEADER.replace(b":1,", b":1.0,"),
        HEADER.replace(b":1,", b":true,"),
        HEADER.replace(b'"chain":', b'"chain": '),
        HEADER.replace(b"town-1", b""),
        HEADER.replace(b"town-1", b"town 1"),
        HEADER.replace(b"town-1", b"@other"),
        HEADER.replace(b"town-1", b"\xff"),
        HEADER.replace(b"town-1", b"\\u001b[2K"),
        HEADER.replace(b"town-1", b"t" * 129),
        HEADER.replace(b"2026", b"0000"),
        HEADER.replace(b"-23T", b"-32T"),
        HEADER.replace(b".000000Z", b"Z"),
        HEADER.replace(b".000000Z", b".000000"),
        HEADER.replace(b"null", b"0"),
        HEADER.replace(b"null", b'"null"'),
        HEADER.replace(b"}", b',"more":1}'),
        TRAILER,
        ENTRY,
    ],
    ids=len,
)
def test_header__written_in_any_other_way__is_none(line: bytes) -> None:
    assert read_header(line) is None


@pytest.mark.parametrize(("entries", "head"), [(0, Head()), (3, Head(sequence=3, hash="ab" * 32))])
def test_trailer__as_it_was_written__is_read(entries: int, head: Head) -> None:
    assert read_trailer(end_of(entries, head)) == (entries, head)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        TRAILER[:-1],
        TRAILER[:-1] + b"\r\n",
        TRAILER.replace(b":3,", b":03,"),
        TRAILER.replace(b":3,", b":3.0,"),
        TRAILER.replace(b":3,", b":-3,"),
        TRAILER.replace(b":3,", b":true,"),
        TRAILER.replace(b":3,", b":null,"),
        TRAILER.replace(b":3,", b":" + b"9" * 5000 + b","),
        TRAILER.replace(b"ab", b"AB"),
        TRAILER.replace(b"abab", b""),
        TRAILER.replace(b"}}}", b',"more":1}}}'),
        b'{"end":' + b"[" * 100_000 + b"\n",
        b'{"end":null}\n',
        HEADER,
        ENTRY,
    ],
    ids=len,
)
def test_trailer__written_in_any_other_way__is_none(line: bytes) -> None:
    assert read_trailer(line) is None


def test_entry_line__as_it_was_written__is_read() -> None:
    assert read_entry_line(ENTRY) == LINKS[TOWN][0]


@pytest.mark.parametrize("hash_text", [b"", b"ab", GENESIS.encode() + b"0"])
def test_entry_line__with_a_hash_of_another_length__is_none(hash_text: bytes) -> None:
    assert read_entry_line(b'{"hash":"%b","entry":{}}\n' % hash_text) is None


@pytest.mark.parametrize("length", range(len(ENTRY)))
def test_entry_line__cut_anywhere__is_none(length: int) -> None:
    assert read_entry_line(ENTRY[:length]) is None


@pytest.mark.parametrize("line", [b"", b"\n", b"}\n", b" " + ENTRY, ENTRY[:-1] + b"\r\n", HEADER, TRAILER], ids=len)
def test_entry_line__written_in_any_other_way__is_none(line: bytes) -> None:
    assert read_entry_line(line) is None


def test_header__of_a_time__covers_its_beginning_and_not_its_end() -> None:
    header = Header(chain=TOWN, since=MORNING, until=EVENING)
    before = timedelta(microseconds=-1)
    assert [header.covers(at) for at in (MORNING + before, MORNING, EVENING + before, EVENING)] == [
        False,
        True,
        True,
        False,
    ]
