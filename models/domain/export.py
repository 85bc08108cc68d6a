"""An export of a chain as JSONL, version 1: a header, a line an entry, a trailer; each ends with one line feed.

What is stored is written as it is, also where someone tampered with it: to judge it is the verifier's business. An
export without its trailer was cut. Several may follow each other in one file.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from models.domain.audit import CENTRAL_CHAIN, GENESIS, instant_text
from models.domain.verification import Head
from models.domain.vocabulary import is_id

FORMAT_VERSION: Final = 1
_INSTANT: Final = r'null|"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"'
_COUNT: Final = "0|[1-9][0-9]{0,15}"
_HEADER: Final = re.compile(
    rf'{{"townclerkAuditExport":{FORMAT_VERSION},"chain":"([^"]+)","since":({_INSTANT}),"until":({_INSTANT})}}\n'.encode()
)
_TRAILER: Final = re.compile(
    rf'{{"end":{{"entries":({_COUNT}),"head":{{"sequence":({_COUNT}),"hash":"([0-9a-f]{{64}})"}}}}}}\n'.encode()
)
_BEFORE_HASH: Final = b'{"hash":"'
_AFTER_HASH: Final = b'","entry":'
_AFTER_CANONICAL: Final = b"}\n"
# Where a line's canonical bytes begin; they end before its last brace.
CANONICAL_OFFSET: Final = len(_BEFORE_HASH) + len(GENESIS) + len(_AFTER_HASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an export is of. `since` is inclusive, `until` is not; None leaves an end open."""

    chain: str
    since: datetime | None
    until: datetime | None

    def covers(self, instant: datetime) -> bool:
        return (self.since is None or self.since <= instant) and (self.until is None or instant < self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """What is stored of an entry: the record's own bytes, and the hash (64 hex digits) that was put beside them."""

    sequence: int
    canonical: bytes
    hash: str


def header(chain: str, *, since: datetime | None, until: datetime | None) -> bytes:
    """The first line. None leaves an end open; `since` is inclusive, `until` is not."""
    return _line(
        {
            "townclerkAuditExport": FORMAT_VERSION,
            "chain": chain,
            "since": None if since is None else instant_text(since),
            "until": None if until is None else instant_text(until),
        }
    )


def read_header(line: bytes) -> Header | None:
    """What `header` made a line of; None for any other line."""
    if (found := _HEADER.fullmatch(line)) is None:
        return None
    chain, since, until = (part.decode("latin-1") for part in found.groups())
    if chain != CENTRAL_CHAIN and not is_id(chain):
        return None
    try:
        return Header(chain=chain, since=_instant(since), until=_instant(until))
    except ValueError:
        return None


def entry_line(entry: StoredEntry) -> bytes:
    return b"".join((_BEFORE_HASH, entry.hash.encode(), _AFTER_HASH, entry.canonical, _AFTER_CANONICAL))


def read_entry_line(line: bytes) -> tuple[bytes, str] | None:
    """The canonical bytes and the hash that `entry_line` made a line of; None for any other line."""
    head, canonical, tail = line[:CANONICAL_OFFSET], line[CANONICAL_OFFSET : -len(_AFTER_CANONICAL)], line[-2:]
    stored_hash = head[len(_BEFORE_HASH) : -len(_AFTER_HASH)]
    if head != _BEFORE_HASH + stored_hash + _AFTER_HASH or tail != _AFTER_CANONICAL:
        return None
    return canonical, stored_hash.decode("latin-1")


def trailer(entries: int, last: StoredEntry | None) -> bytes:
    """The last line: how many entries were written, and the last of them. It says that nothing was cut."""
    head = {"sequence": 0, "hash": GENESIS} if last is None else {"sequence": last.sequence, "hash": last.hash}
    return _line({"end": {"entries": entries, "head": head}})


def read_trailer(line: bytes) -> tuple[int, Head] | None:
    """The number of entries and the last one that `trailer` made a line of; None for any other line."""
    if (found := _TRAILER.fullmatch(line)) is None:
        return None
    return int(found[1]), Head(sequence=int(found[2]), hash=found[3].decode())


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def _instant(text: str) -> datetime | None:
    return None if text == "null" else datetime.fromisoformat(text.strip('"'))
