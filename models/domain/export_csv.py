"""An export of a chain as CSV (RFC 4180), for people with a spreadsheet. It is to be read, not to be verified."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Final

from models.domain.export import StoredEntry

COLUMNS: Final = (
    "chain",
    "sequence",
    "occurredAt",
    "actor",
    "actorName",
    "onBehalfOf",
    "onBehalfOfName",
    "credential",
    "action",
    "targetType",
    "targetId",
    "versionBefore",
    "versionAfter",
    "reason",
    "requestId",
    "before",
    "after",
    "previousHash",
    "hash",
)
ERASED: Final = "(erased)"
_NAMED: Final = {"actor": "actorName", "onBehalfOf": "onBehalfOfName"}
_RUN_BY_SPREADSHEETS: Final = ("=", "+", "-", "@", "\t", "\r")

Record = dict[str, object]


def read_record(chain: str, entry: StoredEntry) -> Record:
    """The cells of an entry by column, but for names. Bytes that are no record leave only what is stored beside."""
    try:
        record = json.loads(entry.canonical.decode("utf-8"))
    except (ValueError, RecursionError):
        record = None
    known = record if isinstance(record, dict) else {}
    return {**known, "chain": chain, "sequence": entry.sequence, "hash": entry.hash}


def actor_ids(records: Iterable[Record]) -> set[str]:
    """The ids that stand for someone who may have a name."""
    return {actor_id for record in records for id_ in _NAMED if isinstance(actor_id := record.get(id_), str)}


def header_row() -> bytes:
    return _rows([COLUMNS])


def entry_rows(records: Iterable[Record], names: Mapping[str, str | None]) -> bytes:
    """A row a record. `names` are those by actor id; None is the name of someone who was erased."""
    return _rows([_cell(cell) for cell in _cells(record, names)] for record in records)


def _cells(record: Record, names: Mapping[str, str | None]) -> Iterable[object]:
    named = {column: _name(record.get(id_), names) for id_, column in _NAMED.items()}
    return ((record | named).get(column) for column in COLUMNS)


def _name(actor_id: object, names: Mapping[str, str | None]) -> object:
    """A name; the id itself where there is none."""
    if not isinstance(actor_id, str):
        return None
    name = names.get(actor_id, actor_id)
    return ERASED if name is None else name


def _cell(value: object) -> str:
    """A value as text that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"'{text}" if text.startswith(_RUN_BY_SPREADSHEETS) else text


def _rows(rows: Iterable[Iterable[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("utf-8", "backslashreplace")  # a lone surrogate can only come by tampering
