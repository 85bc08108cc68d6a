"""Erasing a person: the name is gone from every table, file and answer, and not a byte of the record has changed."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import make_url, select
from sqlmodel import SQLModel

from models.domain.errors import Code, Refused
from models.domain.tokens import EVERYTHING
from models.domain.vocabulary import Actor
from models.services.access import COMMAND_LINE, actor_named, built_in, forget_actor
from models.services.history import Caller
from models.services.towns import NewRig, register_rig
from models.store.unit import Store
from tests.chains import with_store
from tests.client import Api, Json, serving
from tests.contract.recipes import RECIPES, codes, send, unique
from tests.databases import Databases
from tests.towns import make_town

Rows = dict[str, list[tuple[Any, ...]]]

NAME: Final = "Petra Example-Person"
CROWD: Final = 150  # people enough to fill several pages of a file
MOVING: Final = {"actors", "heads", "audit_entries"}  # the tables that erasing somebody writes to
SHOWN: Final = """query ($t: ID!) {
    town(townId: $t) {
        auditEntries(first: 200) { edges { node { actor { actorId displayName } before after } } }
        overrideSets(first: 200) { edges { node {
            createdBy { actorId displayName } overrides { key setBy { actorId displayName } }
        } } }
        beads { edges { node { revisions { edges { node { actor { actorId displayName } } } } } } }
    }
    profiles(townId: $t) { versions { edges { node { publishedBy { actorId displayName } } } } }
}"""
CENTRALLY: Final = """sequence action targetType targetId reason requestId before after
    actor { actorId displayName onBehalfOf }"""


async def join(store: Store, numbers: Iterable[int]) -> None:
    """Have others come by, each with a name."""
    for number in numbers:
        await actor_named(store, f"Someone Else {number}")


def rows(url: str) -> Rows:
    """All that is in the database, in the order of the keys."""

    async def read(store: Store) -> Rows:
        async with store.read() as session:
            connection = await session.connection()
            return {
                table.name: [tuple(row) for row in await connection.execute(select(table).order_by(*table.primary_key))]
                for table in SQLModel.metadata.sorted_tables
            }

    return with_store(url, read)


def holders(found: Rows, name: str) -> set[str]:
    """The tables in which a name stands, in whatever case, within whatever else."""
    sought = name.casefold()
    return {
        table
        for table, found_rows in found.items()
        for row in found_rows
        for cell in row
        if isinstance(cell, str | bytes)
        and sought in (cell if isinstance(cell, str) else cell.decode("utf-8")).casefold()
    }


def files(url: str) -> bytes:
    """What is in the files of a SQLite database, one after the other."""
    file = make_url(url).database or ""
    return b"".join(
        path.read_bytes() for path in (Path(f"{file}{end}") for end in ("", "-wal", "-shm")) if path.exists()
    )


def forget(url: str, actor_id: str) -> bool:
    caller = built_in(COMMAND_LINE, request_id="forget-request")
    return with_store(url, lambda store: forget_actor(store, caller, actor_id))


def refusal(url: str, actor_id: str) -> Code:
    with pytest.raises(Refused) as refused:
        forget(url, actor_id)
    (problem,) = refused.value.problems
    assert problem.path == ("actorId",)
    return problem.code


def id_of(api: Api, name: str) -> str:
    """The id of whoever goes by a name, which registers a rig."""
    town_id = make_town(api, rigs=())
    api.done("registerRig", "__typename", headers={"X-Actor": name}, townId=town_id, rigId="web", name="Web")
    actor = api.entries(town_id, "actor { actorId displayName }")[0]["actor"]
    assert actor["displayName"] == name
    found: str = actor["actorId"]
    return found


@dataclass(frozen=True)
class Forgotten:
    """A person who has made a change of every kind and was forgotten then."""

    api: Api
    actor_id: str
    towns: tuple[str, ...]
    before: Rows
    after: Rows
    was_on_disk: bool
    dropped: bool

    def shown(self) -> list[Json]:
        """Whatever the API shows of what the person did."""
        return [*(self.api.data(SHOWN, t=town_id) for town_id in self.towns), *self.api.entries(None, CENTRALLY)]


@pytest.fixture(scope="module")
def forgotten(backend: str, databases: Databases) -> Iterator[Forgotten]:
    with serving(databases.fresh(backend)) as api:
        towns = []
        with_store(api.url, partial(join, numbers=range(CROWD // 10)))
        actor_id = id_of(api, NAME)
        with_store(api.url, partial(join, numbers=range(CROWD // 10, CROWD)))
        for recipe in RECIPES:
            call = recipe.prepare(api)
            if recipe.takes_key:
                call = call.with_input(idempotencyKey=unique("key"))
            assert codes(send(api, recipe.mutation, call, headers={"X-Actor": NAME})) == []
            towns.append(call.town_id)
        before, was_on_disk = rows(api.url), backend == "sqlite" and NAME.encode() in files(api.url)
        dropped = forget(api.url, actor_id)
        yield Forgotten(api, actor_id, tuple(towns), before, rows(api.url), was_on_disk, dropped)


def actors_in(shown: object) -> Iterator[tuple[str, str]]:
    """Id and display name of each actor in an answer."""
    if isinstance(shown, dict):
        if {"actorId", "displayName"} <= shown.keys():
            yield shown["actorId"], shown["displayName"]
        for value in shown.values():
            yield from actors_in(value)
    elif isinstance(shown, list):
        for value in shown:
            yield from actors_in(value)


def test_name__before__stands_in_one_table_only(forgotten: Forgotten) -> None:
    assert holders(forgotten.before, NAME) == {"actors"}


def test_name__after__stands_in_no_table(forgotten: Forgotten) -> None:
    assert holders(forgotten.after, NAME) == set()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_name__after__is_not_in_the_bytes_of_the_files(forgotten: Forgotten) -> None:
    assert (forgotten.was_on_disk, forgotten.dropped) == (True, True)
    assert NAME.encode() not in files(forgotten.api.url)


def test_name__after__is_in_no_answer(forgotten: Forgotten) -> None:
    shown = forgotten.shown()
    assert NAME not in json.dumps(shown)
    theirs = [name for actor_id, name in actors_in(shown) if actor_id == forgotten.actor_id]
    assert len(theirs) >= len(RECIPES)
    assert set(theirs) == {"(erased)"}


def test_names__of_others__are_still_there(forgotten: Forgotten) -> None:
    names = {row[1] for row in forgotten.after["actors"]}
    assert {f"Someone Else {number}" for number in range(CROWD)} < names


def test_record__after__is_byte_for_byte_what_it_was_and_one_entry_longer(forgotten: Forgotten) -> None:
    before, after = (each["audit_entries"] for each in (forgotten.before, forgotten.after))
    assert [row for row in after if row in before] == before
    assert len(after) == len(before) + 1
    unmoved = forgotten.before.keys() - MOVING
    assert {table: forgotten.after[table] for table in unmoved} == {table: forgotten.before[table] for table in unmoved}


def test_chains__after__follow_from_their_stored_bytes_to_their_heads(forgotten: Forgotten) -> None:
    columns = [column.name for column in SQLModel.metadata.tables["audit_entries"].columns]
    ends: dict[str, tuple[int, str]] = {}
    for row in forgotten.after["audit_entries"]:
        entry = dict(zip(columns, row, strict=True))
        sequence, previous = ends.get(entry["chain"], (0, "0" * 64))
        tagged = b"townclerk-audit-v1\n" + bytes.fromhex(previous) + entry["canonical"]
        assert (entry["sequence"], entry["hash"]) == (sequence + 1, hashlib.sha256(tagged).hexdigest())
        ends[entry["chain"]] = (entry["sequence"], entry["hash"])
    columns = [column.name for column in SQLModel.metadata.tables["heads"].columns]
    heads = [dict(zip(columns, row, strict=True)) for row in forgotten.after["heads"]]
    assert ends == {head["chain"]: (head["audit_sequence"], head["audit_hash"]) for head in heads}


def test_entry__of_the_erasure__is_one_central_one_by_the_command_line(forgotten: Forgotten) -> None:
    (entry,) = [each for each in forgotten.api.entries(None, CENTRALLY) if each["action"] == "ACTOR_FORGOTTEN"]
    assert entry == {
        "sequence": entry["sequence"],
        "action": "ACTOR_FORGOTTEN",
        "targetType": "actor",
        "targetId": forgotten.actor_id,
        "reason": None,
        "requestId": "forget-request",
        "before": {"forgotten": False},
        "after": {"forgotten": True},
        "actor": {"actorId": "cli", "displayName": "Command line", "onBehalfOf": None},
    }
    assert forgotten.api.data("{ auditHead { sequence } }")["auditHead"]["sequence"] == entry["sequence"]


# ---------------------------------------------------------------- again, and nobody


def test_name__used_again__is_another_actor(api: Api) -> None:
    first = id_of(api, NAME)
    forget(api.url, first)
    second = id_of(api, NAME)
    assert first != second
    forget(api.url, second)
    assert holders(rows(api.url), NAME) == set()


def test_forget__twice__is_no_change_and_leaves_one_entry(api: Api) -> None:
    actor_id = id_of(api, NAME)
    forget(api.url, actor_id)
    before = rows(api.url)
    assert refusal(api.url, actor_id) == Code.NO_CHANGE
    assert rows(api.url) == before


NOBODY: Final = {
    "unknown": ("act_" + "0" * 32, Code.NOT_FOUND),
    "a_name": (NAME, Code.NOT_FOUND),
    "empty": ("", Code.NOT_FOUND),
    "with_nul": ("\x00", Code.NOT_FOUND),
    "with_a_surrogate": ("\ud800", Code.NOT_FOUND),
    "the_installer": ("townclerk", Code.INVALID_INPUT),
    "the_command_line": ("cli", Code.INVALID_INPUT),
    "dev": ("dev", Code.INVALID_INPUT),
}


@pytest.mark.parametrize(("actor_id", "code"), NOBODY.values(), ids=NOBODY)
def test_forget__of_nobody__is_refused_and_changes_nothing(shared_api: Api, actor_id: str, code: Code) -> None:
    before = rows(shared_api.url)
    assert refusal(shared_api.url, actor_id) == code
    assert rows(shared_api.url) == before


def register(api: Api, town_id: str, caller: Caller) -> None:
    new = NewRig(rig_id=unique("rig"), name="Rig")
    with_store(api.url, lambda store: register_rig(store, caller, town_id, new))


def as_caller(actor_id: str, name: str) -> Caller:
    return Caller(
        actor=Actor(actor_id=actor_id), display_name=name, credential_id=None, request_id="request", grant=EVERYTHING
    )


def test_forget__of_an_actor_whose_id_is_the_name__is_refused(api: Api) -> None:
    """As in databases from before ids were opaque: the name is in every entry."""
    town_id = make_town(api, rigs=())
    register(api, town_id, as_caller("ann", "ann"))
    assert refusal(api.url, "ann") == Code.INVALID_INPUT
    assert id_of(api, "ann") == "ann"


def test_change__under_way_while_its_actor_is_forgotten__does_not_bring_the_name_back(api: Api) -> None:
    actor_id, town_id = id_of(api, NAME), make_town(api, rigs=())
    forget(api.url, actor_id)
    register(api, town_id, as_caller(actor_id, NAME))
    assert holders(rows(api.url), NAME) == set()
    actor = api.entries(town_id, "actor { actorId displayName }")[0]["actor"]
    assert actor == {"actorId": actor_id, "displayName": "(erased)"}


def test_change__by_an_actor_whose_name_is_anothers__is_done_under_its_id(api: Api) -> None:
    id_of(api, NAME)
    town_id = make_town(api, rigs=())
    register(api, town_id, as_caller("namesake", NAME))
    actor = api.entries(town_id, "actor { actorId displayName }")[0]["actor"]
    assert actor == {"actorId": "namesake", "displayName": "namesake"}
