"""An export of a chain as JSONL, version 1: a header, a line an entry, a trailer; each ends with one line feed.

What is stored is written as it is, also where someone tampered with it: to judge it is the verifier's business. An
export without its trailer was cut. Several may follow each other in one file.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from models.domain.audit import GENESIS, instant_text

FORMAT_VERSION: Final = 1
_BEFORE_HASH: Final = b'{"hash":"'
_AFTER_HASH: Final = b'","entry":'
_AFTER_CANONICAL: Final = b"}\n"
# Where a line's canonical bytes begin; they end before its last brace.
CANONICAL_OFFSET: Final = len(_BEFORE_HASH) + len(GENESIS) + len(_AFTER_HASH)


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


def entry_line(entry: StoredEntry) -> bytes:
    return b"".join((_BEFORE_HASH, entry.hash.encode(), _AFTER_HASH, entry.canonical, _AFTER_CANONICAL))


def trailer(entries: int, last: StoredEntry | None) -> bytes:
    """The last line: how many entries were written, and the last of them. It says that nothing was cut."""
    head = {"sequence": 0, "hash": GENESIS} if last is None else {"sequence": last.sequence, "hash": last.hash}
    return _line({"end": {"entries": entries, "head": head}})


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
