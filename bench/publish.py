"""What a publish takes on SQLite, against a bare commit of the very rows that it wrote, on the same file system."""

import json
import socket
import sqlite3
import statistics
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import make_url

from bench.questions import request_of
from bench.stage import Stage
from tests.bulk import RIGS, add_beads, add_override_sets, add_towns
from tests.tokens import make_token
from tests.towns import HAIKU, OPUS, rule

TOWN: Final = "publishing"
BEADS: Final = 12
TIMES: Final = 200
WARM: Final = 5
FIRST: Final = 2  # the version that is in force before
LABELED: Final = ("gt:pr-fixup", "gt:convoy", "gt:merge-request", "gt:escalation")
# as models/store/engine.py has them for a writer
PRAGMAS: Final = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")
PUBLISH: Final = """
mutation ($input: PublishOverrideSetInput!) {
  publishOverrideSet(input: $input) { currentVersion userErrors { code message } }
}
"""

Statements = list[tuple[str, tuple[Any, ...]]]
Rows = dict[tuple[Any, ...], tuple[Any, ...]]  # by primary key


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """Medians, in seconds, and of the pairs' ratios; `rows` is how many rows a publish writes."""

    ours: float
    bare: float
    times: float
    rows: int


def publishing(stage: Stage, *, overrides: int) -> Publishing:
    """Publish so many overrides (20 at most) again and again, each time with a bare commit of the rows into a copy.

    Which rows those are was found out before, in another copy, so that nothing else goes on meanwhile.
    """
    url = stage.databases.fresh("sqlite")
    add_towns(url, [TOWN])
    add_beads(url, [TOWN], BEADS)
    add_override_sets(url, TOWN, 2, overrides=overrides)
    token = make_token(url, "editor")
    copies = [stage.databases.copy("sqlite", url) for _ in range(2)]
    commits = _written(stage, copies[0], token, overrides)
    pairs = []
    with (
        stage.ours(url) as served,
        closing(_connect(_file(copies[1]))) as bare,
        socket.create_connection(("127.0.0.1", served.port)) as connection,
    ):
        for pragma in PRAGMAS:
            bare.execute(f"PRAGMA {pragma}")
        for number, statements in enumerate(commits):
            pair = _publish(connection, token, number, overrides), _commit(bare, statements)
            if number >= WARM:
                pairs.append(pair)
    return Publishing(
        ours=statistics.median(ours for ours, _ in pairs),
        bare=statistics.median(its for _, its in pairs),
        times=statistics.median(ours / its for ours, its in pairs),
        rows=len(commits[-1]),
    )


def _written(stage: Stage, url: str, token: str, overrides: int) -> list[Statements]:
    """What each of so many publishes writes into the database at `url`."""
    written = []
    with (
        stage.ours(url) as served,
        closing(_connect(_file(url))) as watched,
        socket.create_connection(("127.0.0.1", served.port)) as connection,
    ):
        tables = _tables(watched)
        before = {table: _rows(watched, table) for table in tables}
        for number in range(WARM + TIMES):
            _publish(connection, token, number, overrides)
            after = {table: _rows(watched, table) for table in tables}
            written.append([each for table in tables for each in _changes(watched, table, before[table], after[table])])
            before = after
    return written


def _publish(connection: socket.socket, token: str, number: int, overrides: int) -> float:
    """Seconds until a publish of so many overrides, each with another model than before, was answered."""
    version = FIRST + number
    model = (OPUS, HAIKU)[version % 2]
    rules = [rule(model, role="POLECAT", label=label, rig=rig) for label in LABELED for rig in RIGS]
    draft = {"overrides": rules[:overrides]}
    given = {"townId": TOWN, "expectedVersion": version, "reason": "A benchmark says so.", "draft": draft}
    asked = request_of(json.dumps({"query": PUBLISH, "variables": {"input": given}}), token).encode("ascii")
    began = time.perf_counter()
    connection.sendall(asked)
    answer = connection.recv(65_536)  # head and body, which are sent together
    took = time.perf_counter() - began
    said = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert said["data"]["publishOverrideSet"] == {"currentVersion": version + 1, "userErrors": []}, answer
    return took


def _commit(connection: sqlite3.Connection, statements: Statements) -> float:
    """Seconds that one transaction of those statements takes, until it is on the disk."""
    began = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    for statement, values in statements:
        connection.execute(statement, values)
    connection.execute("COMMIT")
    return time.perf_counter() - began


def _changes(connection: sqlite3.Connection, table: str, before: Rows, after: Rows) -> Statements:
    """What makes of the rows before those after."""
    assert before.keys() <= after.keys(), f"a publish removed rows of {table}"
    columns, keys = _columns(connection, table), _key(connection, table)
    marks = ", ".join("?" for _ in columns)
    changed = ", ".join(f"{column} = ?" for column in columns)
    where = " AND ".join(f"{column} = ?" for column in keys)
    found: Statements = []
    for key, row in after.items():
        if key not in before:
            found.append((f"INSERT INTO {table} VALUES ({marks})", row))
        elif before[key] != row:
            found.append((f"UPDATE {table} SET {changed} WHERE {where}", (*row, *key)))
    return found


def _rows(connection: sqlite3.Connection, table: str) -> Rows:
    columns, keys = _columns(connection, table), _key(connection, table)
    places = [columns.index(key) for key in keys]
    rows = connection.execute(f"SELECT * FROM {table}")
    return {tuple(row[place] for place in places): row for row in rows}


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Those with rows of ours, in the order in which they were made: what others refer to comes first."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rootpage")
    return [name for (name,) in found if not name.startswith(("sqlite_", "alembic_"))]


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]


def _key(connection: sqlite3.Connection, table: str) -> list[str]:
    by_place = {place: name for _, name, _, _, _, place in connection.execute(f"PRAGMA table_info({table})") if place}
    return [by_place[place] for place in sorted(by_place)]


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, isolation_level=None)


def _file(url: str) -> Path:
    return Path(make_url(url).database or "")
