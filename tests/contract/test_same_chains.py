"""One history, told to SQLite and to PostgreSQL with the clock and the ids given, leaves the same bytes in both."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from models.domain.audit import AuditAction
from models.store.unit import Store
from tests.chains import with_store
from tests.client import Api, serving
from tests.contract.recipes import RECIPES, codes, profile_input, send
from tests.databases import Databases
from tests.towns import HAIKU, KILO, OPUS, make_town, publish, rule, sync

SHARED: Final = "tidal"  # a profile that several towns follow
FOLLOWERS: Final = 4
ACTORS: Final = ("ann", "ben", None)  # None is whom nobody names
BY_COMMAND: Final = {AuditAction.ACTOR_FORGOTTEN, AuditAction.TOKEN_CREATED, AuditAction.TOKEN_REVOKED}  # no mutation
ODD: Final = "Ärger — 100 % “\\” \t\u2028 \u2603 \U0001f642 e\u0301"
Rows = Mapping[str, Sequence[tuple[Any, ...]]]


@dataclass
class StoppedClock:
    """A clock that moves when a test says so: it does not matter how often somebody looks."""

    now: datetime = field(default=datetime(2026, 1, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def tick(self) -> None:
        self.now += timedelta(seconds=1.000001)


@dataclass(frozen=True)
class Telling:
    """A history under way. What belongs together runs under one request id and on one actor's account."""

    api: Api
    clock: StoppedClock
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def turn(self, what: str) -> None:
        """Whatever comes next is `what`, a moment later."""
        self.clock.tick()
        headers, actor = self.api.http.headers, ACTORS[next(self._numbers) % len(ACTORS)]
        headers["X-Request-Id"] = what
        headers.pop("X-Actor", None)
        if actor is not None:
            headers["X-Actor"] = actor

    def tell(self) -> None:
        for recipe in RECIPES:
            self.turn(f"prepare-{recipe}")
            call = recipe.prepare(self.api)
            self.turn(str(recipe))
            assert codes(send(self.api, recipe.mutation, call)) == []
        self._roll_out()
        self._write_odd_text()

    def _roll_out(self) -> None:
        """Publish a profile that several towns follow, so that a mayor here and there has to restart."""
        self.turn("shared")
        self.api.done("publishProfileVersion", **profile_input(SHARED, 0))
        followers = [make_town(self.api, profile=SHARED) for _ in range(FOLLOWERS)]
        publish(self.api, followers[0], overrides=[rule(KILO, "MAYOR"), rule(OPUS, "POLECAT", "gt:rework", "web")])
        observed = {"model": OPUS, "smallModel": HAIKU}
        self.api.done("detectMayorChange", townId=followers[1], observed=observed)
        self.turn("roll-out")
        payload = self.api.done("publishProfileVersion", "townsUpdated", **profile_input(SHARED, 1, mayor=HAIKU))
        assert payload["townsUpdated"] == FOLLOWERS

    def _write_odd_text(self) -> None:
        self.turn("odd-text")
        town_id = make_town(self.api)
        sync(self.api, town_id, {"beadId": "odd", "title": ODD, "labels": [ODD[:20], "gt:rework"], "rigId": "web"})
        self.api.done("selectProfile", townId=town_id, expectedVersion=1, profile="frugal", reason=ODD)


def told(databases: Databases, backend: str) -> Rows:
    """All rows that the history leaves in a new database, by table, in the order of their keys."""
    clock, numbers = StoppedClock(), itertools.count(1)
    with pytest.MonkeyPatch.context() as patch:  # the numbers in names, which go on from test to test, begin anew
        for counting in ("tests.towns", "tests.contract.recipes"):
            patch.setattr(f"{counting}._NUMBERS", itertools.count(1))
        url = databases.dated(backend, clock)
        new_id = lambda: f"{next(numbers):032x}"  # noqa: E731  # an argument with a name
        with serving(url, clock=clock, new_id=new_id, rollout_interval_seconds=3600) as api:
            Telling(api, clock).tell()
    return with_store(url, stored)


async def stored(store: Store) -> Rows:
    async with store.database.reader.connect() as connection:
        return {
            name: [tuple(row) for row in await connection.execute(select(table).order_by(*table.primary_key))]
            for name, table in SQLModel.metadata.tables.items()
        }


@pytest.fixture(scope="module")
def once(databases: Databases) -> Rows:
    """The history as SQLite holds it."""
    return told(databases, "sqlite")


@pytest.fixture(scope="module")
def again(backend: str, databases: Databases) -> Rows:
    """The same history, told to either database."""
    return told(databases, backend)


def column(rows: Rows, table: str, *names: str) -> list[tuple[Any, ...]]:
    positions = [list(SQLModel.metadata.tables[table].columns.keys()).index(name) for name in names]
    return [tuple(row[position] for position in positions) for row in rows[table]]


def test_history__that_is_told__has_entries_of_every_kind_in_many_chains(once: Rows) -> None:
    actions = Counter(action for (action,) in column(once, "audit_entries", "action"))
    assert set(actions) == set(AuditAction) - BY_COMMAND
    assert actions[AuditAction.PROFILE_VERSION_ADOPTED] >= FOLLOWERS
    assert len(set(column(once, "audit_entries", "chain"))) > len(RECIPES)
    assert len(set(column(once, "audit_entries", "actor_id"))) > len(ACTORS)


def test_chains__of_one_history__are_the_same_bytes_in_either_database(once: Rows, again: Rows) -> None:
    record = ("chain", "sequence", "canonical", "hash")
    assert column(again, "audit_entries", *record) == column(once, "audit_entries", *record)


@pytest.mark.parametrize("table", SQLModel.metadata.tables)
def test_rows__of_one_history__are_the_same_in_either_database(once: Rows, again: Rows, table: str) -> None:
    assert again[table] == once[table]
