"""`asOf` in a history of thousands of versions and revisions costs what it costs in one of ten."""

import re
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

import pytest
from sqlalchemy import make_url

from models.domain.audit import instant_text
from tests.bulk import add_beads, add_override_sets, add_revisions, add_towns, analyze
from tests.client import Json
from tests.contract.test_statements import SCAN, plan, watched
from tests.databases import Databases
from tests.sizes import sized
from tests.statements import Statement

SHORT, LONG = (
    10,
    sized("history", quick=3_000, ci=10_000),
)  # each a town of that many override sets, with a bead of that many revisions, a second apart
BEGAN: Final = datetime.fromisoformat("2026-01-01T00:00:00Z")
EVERY_DOOR: Final = """
query ($town: ID!, $bead: ID!, $asOf: AsOf!) {
  resolution(beadId: $bead, asOf: $asOf) { overrideSetVersion }
  bead(beadId: $bead) { resolution(asOf: $asOf) { overrideSetVersion } }
  taskResolution(townId: $town, task: {}, asOf: $asOf) { overrideSetVersion }
  town(townId: $town) { overrideSetAt(asOf: $asOf) { version } }
}
"""
BY_INDEX: Final = {  # what the index has to be asked for, in the words of either database
    "bead_revisions": r"(SEARCH|Index Cond).*\btown_id\b.*\bbead_id\b.*\bat ?<",
    "override_sets": r"(SEARCH|Index Cond).*\btown_id\b.*\b(version ?=|created_at ?<)",
}


@pytest.fixture(scope="module")
def url(backend: str, databases: Databases) -> str:
    made = databases.fresh(backend)
    towns = {town_of(length): length for length in (SHORT, LONG)}
    add_towns(made, list(towns))
    add_beads(made, list(towns), 20)
    for town_id, length in towns.items():
        add_override_sets(made, town_id, length, overrides=2)
        add_revisions(made, town_id, length)
    if backend == "postgresql":
        analyze(made)  # as its autovacuum does in time
    return made


def town_of(length: int) -> str:
    return f"of-{length}"


def seconds_later(seconds: float) -> Json:
    return {"at": instant_text(BEGAN + timedelta(seconds=seconds))}


def as_of(when: str, length: int) -> tuple[Json, int]:
    """An `AsOf`, and the version that was in force then: version n came second n - 1."""
    middle = length // 2
    asked: dict[str, tuple[Json, int]] = {
        "the first instant": (seconds_later(0), 1),
        "an instant half way": (seconds_later(middle + 0.5), middle + 1),
        "the last instant": (seconds_later(length - 1), length),
        "a version": ({"version": middle}, middle),
    }
    return asked[when]


every_time = pytest.mark.parametrize(
    "when", ["the first instant", "an instant half way", "the last instant", "a version"]
)


@cache
def statements(url: str, when: str, length: int) -> list[Statement]:
    """What a Townclerk that has read nothing yet sends to the database, to answer at every door."""
    town_id, (asked, version) = town_of(length), as_of(when, length)
    variables: dict[str, Any] = {"town": town_id, "bead": f"{town_id}-0", "asOf": asked}
    with watched(url) as townclerk:
        answer = townclerk.api.data(EVERY_DOOR, **variables)
    with watched(url) as townclerk:
        sent = townclerk.statements(EVERY_DOOR, **variables)
    expected = {"overrideSetVersion": version}
    assert answer == {
        "resolution": expected,
        "bead": {"resolution": expected},
        "taskResolution": expected,
        "town": {"overrideSetAt": {"version": version}},
    }
    return sent


@every_time
def test_as_of__in_a_long_history__takes_the_statements_of_a_short_one(url: str, when: str) -> None:
    short, long = (sorted(each.text for each in statements(url, when, length)) for length in (SHORT, LONG))
    assert short == long


@every_time
def test_as_of__in_a_long_history__finds_every_row_by_an_index(url: str, when: str) -> None:
    looked_at = set()
    for statement in statements(url, when, LONG):
        for table in [table for table in BY_INDEX if f"FROM {table}" in statement.text]:
            steps = plan(url, statement)
            assert [step for step in steps if SCAN.search(step)] == [], statement.text
            assert any(re.search(BY_INDEX[table], step) for step in steps), (statement.text, steps)
            looked_at.add(table)
    assert looked_at == BY_INDEX.keys()


@every_time
def test_as_of__in_a_long_history__is_no_more_work_than_in_a_short_one(url: str, when: str) -> None:
    short, long = (sum(work(url, each) for each in statements(url, when, length)) for length in (SHORT, LONG))
    assert 0 < long <= 2 * short


def work(url: str, statement: Statement) -> int:
    """What a statement takes: on SQLite the steps of its virtual machine, on PostgreSQL the pages looked at."""
    if url.startswith("sqlite"):
        return steps_of(url, statement)
    explained = plan(url, Statement(f"(ANALYZE, BUFFERS) {statement.text}", statement.parameters))
    buffers = next(line for line in explained if "Buffers:" in line)  # the first line tells of all below it
    return sum(int(pages) for pages in re.findall(r"(?:hit|read)=(\d+)", buffers))


def steps_of(url: str, statement: Statement) -> int:
    taken = 0

    def count() -> Any:
        nonlocal taken
        taken += 1

    with closing(sqlite3.connect(make_url(url).database or "")) as connection:
        connection.set_progress_handler(count, 1)
        connection.execute(statement.text, statement.parameters).fetchall()
    return taken
