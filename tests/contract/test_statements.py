"""How many SQL statements a request takes, and that those of the hot read find their rows by an index."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import make_url

from tests.bulk import add_beads, add_override_sets, add_towns, analyze
from tests.client import Api, serving
from tests.databases import Databases
from tests.statements import Statement, Watch, watching
from tests.towns import HAIKU, OPUS

SMALL, BIG = "small", "big"  # two towns
ONE_BEAD: Final = "query ($id: ID!) { resolution(beadId: $id) { model considered { key } } }"
BEADS: Final = """
query ($n: Int!) {
  town(townId: "small") {
    beads(first: $n) {
      edges { node { rig { name } town { name } resolution { model matchedRule { key } considered { key } } } }
    }
  }
}
"""
TOWNS: Final = """
query ($n: Int!) {
  towns(first: $n) {
    edges {
      node {
        overrideSet {
          version createdBy { displayName } profile { title } profileVersion { smallModel } overrides { key }
          effectiveRules { rule { key } }
        }
        mayor { desired { model } observed { model } signal { sequence } }
        defaultResolution { model }
        rigs { name }
        warnings { code }
      }
    }
  }
}
"""
BATCH: Final = "query ($ids: [ID!]!) { resolutions(beadIds: $ids) { resolution { model considered { key } } } }"
MODELS: Final = (OPUS, HAIKU)
RULED: Final = ("gt:pr-fixup", "gt:convoy")
HISTORY: Final = "query ($id: ID!, $asOf: AsOf) { resolution(beadId: $id, asOf: $asOf) { model } }"


@dataclass
class Watched:
    """A Townclerk, and the statements that each request sends to the database."""

    api: Api
    watch: Watch

    def statements(self, query: str, **variables: Any) -> list[Statement]:
        """Those of one request; whatever else runs is not counted."""
        headers, sent = self.watch.request()
        self.api.data(query, headers=dict(headers), **variables)
        return sent


@contextmanager
def watched(url: str) -> Iterator[Watched]:
    """A Townclerk that has read nothing yet."""
    with serving(url) as api, watching() as watch:
        yield Watched(api, watch)


@pytest.fixture(scope="module")
def url(backend: str, databases: Databases) -> str:
    """A database of many towns, of which one is big."""
    made = databases.fresh(backend)
    others = [f"town-{number}" for number in range(500)]
    add_towns(made, [SMALL, BIG, *others])
    add_beads(made, [SMALL, *others[:50]], 60)
    add_beads(made, [BIG], 20_000)
    add_override_sets(made, BIG, 300)
    if backend == "postgresql":
        analyze(made)  # as its autovacuum does in time
    return made


@pytest.mark.parametrize("query", [BEADS, TOWNS], ids=["beads", "towns"])
def test_page__of_more_items__takes_no_more_statements(url: str, query: str) -> None:
    taken = {}
    for size in (5, 20, 50):
        with watched(url) as townclerk:
            taken[size] = sorted(each.text.partition("IN (")[0] for each in townclerk.statements(query, n=size))
    assert taken[5]
    assert taken[5] == taken[20] == taken[50]


SYNC: Final = "mutation ($input: SyncBeadsInput!) { syncBeads(input: $input) { synced userErrors { code } } }"


def test_sync__of_more_beads__takes_no_more_statements(url: str) -> None:
    taken = {}
    for size in (5, 50):
        beads = [{"beadId": f"{SMALL}-synced-{number}"} for number in range(size)]
        with watched(url) as townclerk:
            sent = townclerk.statements(SYNC, input={"townId": SMALL, "beads": beads})
        taken[size] = sum("SELECT" in statement.text for statement in sent)
    assert 0 < taken[50] <= taken[5]


@pytest.mark.parametrize("bead_ids", [[f"{SMALL}-{n}" for n in range(50)], [f"town-{n}-0" for n in range(50)]])
def test_resolutions__of_more_beads__take_no_more_statements(url: str, bead_ids: list[str]) -> None:
    taken = []
    for size in (5, 50):
        with watched(url) as townclerk:
            taken.append(len(townclerk.statements(BATCH, ids=bead_ids[:size])))
    assert taken[0] == taken[1] <= 5


def test_resolution__in_a_town_of_any_size__takes_one_statement_once_its_table_is_there(url: str) -> None:
    for town_id in (SMALL, BIG):
        with watched(url) as townclerk:
            first = townclerk.statements(ONE_BEAD, id=f"{town_id}-7")
            again = townclerk.statements(ONE_BEAD, id=f"{town_id}-8")
        assert (len(first), len(again)) == (5, 1)


@pytest.mark.parametrize(
    "as_of",
    [None, {"version": 150}, {"at": "2026-01-01T00:02:00.500Z"}],
    ids=["now", "as of a version", "as of an instant"],
)
def test_resolution__in_a_big_town__finds_every_row_by_an_index(url: str, as_of: dict[str, Any] | None) -> None:
    with watched(url) as townclerk:
        statements = townclerk.statements(HISTORY, id=f"{BIG}-12345", asOf=as_of)
    looked_at = [(found[1], statement) for statement in statements if (found := TABLE.search(statement.text))]
    assert {"beads", "override_sets", "overrides"} <= {table for table, _ in looked_at}
    for table, statement in looked_at:
        steps = plan(url, statement)
        assert [step for step in steps if SCAN.search(step)] == [], statement.text
        assert any(re.search(SEARCH[table], step) for step in steps), (statement.text, steps)


TABLE: Final = re.compile(r"FROM (beads|bead_revisions|heads|override_sets|overrides)\b")
SCAN: Final = re.compile(r"SCAN (beads|bead_revisions|heads|override_sets|overrides)\b|Seq Scan")
SEARCH: Final = {  # what the index has to be asked for, in the words of either database
    "beads": r"(SEARCH|Index Cond).*\bbead_id\b",
    "bead_revisions": r"(SEARCH|Index Cond).*\btown_id\b.*\bbead_id\b",
    "heads": r"(SEARCH|Index Cond).*\bchain\b",
    "override_sets": r"(SEARCH|Index Cond).*\btown_id\b.*\b(version|created_at)[ <=]",
    "overrides": r"(SEARCH|Index Cond).*\btown_id\b.*\bversion\b",
}


def plan(url: str, statement: Statement) -> list[str]:
    """How the database would go about a statement, a line a step."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(make_url(url).database or "")) as connection:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters).fetchall()
            return [row[3] for row in rows]

    async def explain() -> list[str]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(f"EXPLAIN {statement.text}", *statement.parameters)
            return [row[0] for row in rows]
        finally:
            await connection.close()

    return asyncio.run(explain())


READ: Final = re.compile(r"FROM (\w+)")
NAMED: Final = "query ($t: ID!) { town(townId: $t) { name overrideSet { version createdAt contentHash } } }"


def test_rows__that_never_change__are_read_once(url: str) -> None:
    with watched(url) as townclerk:
        sent = [townclerk.statements(NAMED, t=SMALL) for _ in range(3)]
    assert [[READ.findall(each.text) for each in statements] for statements in sent] == [
        [["towns"], ["heads"], ["override_sets"]],
        [["heads"]],
        [["heads"]],
    ]


PUBLISH: Final = """
mutation ($input: PublishOverrideSetInput!) {
  publishOverrideSet(input: $input) { currentVersion userErrors { code } }
}
"""
ALL_OF_IT: Final = """
mutation ($input: PublishOverrideSetInput!) {
  publishOverrideSet(input: $input) {
    currentVersion
    userErrors { code }
    overrideSet { version overrides { key } effectiveRules { source } }
    changeDetection { mayorChanged }
    warnings { code }
  }
}
"""


def test_publish__answers_from_what_it_wrote_and_reads_no_more_than_is_asked_for(backend: str, url: str) -> None:
    begin = 1 if backend == "postgresql" else 0  # which tells other processes
    with watched(url) as townclerk:
        taken = []
        for version, asked in enumerate((PUBLISH, PUBLISH, ALL_OF_IT), start=2):
            rules = [{"role": "POLECAT", "label": label, "model": MODELS[version % 2]} for label in RULED]
            draft = {"townId": "town-1", "expectedVersion": version - 1, "reason": "Why not?"}
            sent = townclerk.statements(asked, input={**draft, "draft": {"overrides": rules}})
            taken.append(len(sent) - begin)
    assert taken == [11, 7, 11], "the first of them reads what is in force"
