"""A Townclerk outside dev mode, and credentials of each scope for it, to ask every row of the table of permissions."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import func, select
from sqlmodel import SQLModel, col

from models.store.engine import Database, open_database
from models.store.towns import HeadRow
from tests.client import Api, Json, serving
from tests.contract.operations import (
    NEVER,
    OTHER,
    OWN,
    QUESTIONS,
    Answer,
    Headers,
    ask,
    ask_for,
    make_place,
    recipe_of,
    town_id,
)
from tests.contract.recipes import Call
from tests.permissions import ROWS, SCOPES, YES, Row
from tests.tokens import make_token

GARBAGE: Final = f"tck_{'0' * 16}_{'0' * 72}"
MUTATIONS: Final = tuple(row for row in ROWS if row.root == "Mutation")
_QUIET: Final[Json] = {"rollout_interval_seconds": 3600, "max_failed_sign_ins": 100_000}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Who asks: a credential of one scope, `bound` to its own towns or for all; and whether for another's town."""

    scope: str
    bound: bool
    foreign: bool

    def answer(self, row: Row) -> str:
        return row.answer([self.scope], bound=self.bound, foreign=self.foreign)


def cells_of(row: Row) -> list[Cell]:
    """All that the row says."""
    return [
        Cell(scope=scope, bound=bound, foreign=foreign)
        for scope in SCOPES
        for bound in (False, True)
        for foreign in ((False, True) if row.is_of_town else (False,))
    ]


@dataclass(kw_only=True)
class Calls:
    """A mutation's calls that would take effect, each in a town of its own; `spare` is for those who may not."""

    spare: Call
    fresh: list[Call]

    @property
    def town_ids(self) -> list[str]:
        return [call.town_id for call in (self.spare, *self.fresh)]


@dataclass(kw_only=True)
class Hall:
    """One database, with two places in it. `bound` credentials are for the one that is theirs, others for all."""

    api: Api
    own_towns: Collection[str]
    _calls: dict[tuple[Row, bool], Calls]
    _tokens: dict[tuple[frozenset[str], bool], str] = field(default_factory=dict)
    _runner: asyncio.Runner
    _database: Database

    def holding(self, *scopes: str, bound: bool) -> Api:
        """Townclerk as it is for whoever has a credential of those scopes."""
        key = (frozenset(scopes), bound)
        if key not in self._tokens:
            self._tokens[key] = make_token(self.api.url, *scopes, towns=self.own_towns if bound else None)
        return self.api.holding(self._tokens[key])

    def ask(self, row: Row, cell: Cell) -> Answer:
        """What is answered. A mutation takes effect where the table says `yes`."""
        api = self.holding(cell.scope, bound=cell.bound)
        if row not in MUTATIONS:
            return ask(api, QUESTIONS[str(row)], OTHER if cell.foreign else OWN)
        calls = self._calls[row, cell.foreign]
        return ask_for(api, row.field, calls.fresh.pop() if cell.answer(row) == YES else calls.spare)

    def ask_as(self, api: Api, row: Row, *, spoilt: bool = False) -> Answer:
        """What anyone gets who asks for it in an own town; a mutation that is `spoilt` never takes effect."""
        if row not in MUTATIONS:
            return ask(api, QUESTIONS[str(row)], OWN)
        call = self._calls[row, False].spare
        return ask_for(api, row.field, call.with_input(**recipe_of(row).spoilt) if spoilt else call)

    def ask_of_another(self, api: Api, row: Row, headers: Headers) -> Answer:
        """What is answered of another's town, as if its id were the one that `ask_of_none` takes."""
        if row not in MUTATIONS:
            return ask(api, QUESTIONS[str(row)], OTHER, headers).renamed(OTHER, NEVER)
        call = self._calls[row, True].spare
        return ask_for(api, row.field, call, headers).renamed(call.town_id, _never(call.town_id))

    def ask_of_none(self, api: Api, row: Row, headers: Headers) -> Answer:
        """What is answered of a town that was never made."""
        if row not in MUTATIONS:
            return ask(api, QUESTIONS[str(row)], NEVER, headers)
        call = self._calls[row, True].spare
        return ask_for(api, row.field, call.with_input(townId=_never(call.town_id)), headers)

    def stored(self) -> list[Any]:
        """Where every chain stands, and how many rows each table has."""

        async def look() -> list[Any]:
            async with self._database.reader.connect() as connection:
                return [*await connection.execute(_HEADS), *await connection.execute(_COUNTS)]

        return self._runner.run(look())


_HEADS: Final = select(col(HeadRow.chain), col(HeadRow.audit_sequence), col(HeadRow.audit_hash)).order_by(
    col(HeadRow.chain)
)
_COUNTS: Final = select(
    *(select(func.count()).select_from(table).scalar_subquery() for table in SQLModel.metadata.sorted_tables)
)


def _never(town_id: str) -> str:
    return town_id.replace("town-", "t0wn-")


@contextmanager
def open_hall(url: str) -> Iterator[Hall]:
    """A hall over a fresh database, with as many calls of each mutation as its row allows."""
    with serving(url, **_QUIET) as dev:
        for stem in (OWN, OTHER):
            make_place(dev, stem)
        calls = {
            (row, foreign): _prepared(dev, row, foreign=foreign)
            for row in MUTATIONS
            for foreign in ((False, True) if row.is_of_town else (False,))
        }
    own = [it for row in MUTATIONS if row.is_of_town for it in calls[row, False].town_ids]
    with asyncio.Runner() as runner, serving(url, dev=False, **_QUIET) as api:
        database = open_database(url)
        try:
            yield Hall(api=api, own_towns=[town_id(OWN), *own], _calls=calls, _runner=runner, _database=database)
        finally:
            runner.run(database.dispose())


def _prepared(dev: Api, row: Row, *, foreign: bool) -> Calls:
    recipe = recipe_of(row)
    effective = [cell for cell in cells_of(row) if cell.foreign == foreign and cell.answer(row) == YES]
    return Calls(spare=recipe.prepare(dev), fresh=[recipe.prepare(dev) for _ in effective])
