"""`townclerk audit forget`, as users type it, beside a server that goes on serving."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import asyncpg
import pytest
from sqlalchemy import make_url

from tests.client import Api
from tests.contract.recipes import unique
from tests.e2e.process import Finished, townclerk
from tests.towns import make_town

NOBODY: Final = "act_" + "0" * 32


def person(api: Api) -> tuple[str, str]:
    """Name and id of somebody who has made a change."""
    town_id, name = make_town(api, rigs=()), unique("Some Person")
    api.done("registerRig", "__typename", headers={"X-Actor": name}, townId=town_id, rigId="web", name="Web")
    return name, api.entries(town_id, "actor { actorId }")[0]["actor"]["actorId"]


def test_forget__twice__is_done_and_then_was_done_already(shared_api: Api) -> None:
    _, actor_id = person(shared_api)
    done, again = (townclerk(shared_api.url, "audit", "forget", actor_id) for _ in range(2))
    assert (done.code, done.err, actor_id in done.out) == (0, "", True)
    assert (again.code, again.err, actor_id in again.out) == (1, "", True)
    assert shared_api.entries(None, "action targetId actor { actorId displayName }")[0] == {
        "action": "ACTOR_FORGOTTEN",
        "targetId": actor_id,
        "actor": {"actorId": "cli", "displayName": "Command line"},
    }


def test_forget__as_json__tells_whom_and_what_came_of_it(shared_api: Api) -> None:
    _, actor_id = person(shared_api)
    found = [townclerk(shared_api.url, "audit", "forget", actor_id, "--json") for _ in range(2)]
    assert [(each.code, json.loads(each.out)) for each in found] == [
        (0, {"actorId": actor_id, "outcome": "FORGOTTEN"}),
        (1, {"actorId": actor_id, "outcome": "ALREADY_FORGOTTEN"}),
    ]


@pytest.mark.parametrize("actor_id", [NOBODY, "dev", "cli", "townclerk", ""])
def test_forget__of_nobody__could_not_be_done(shared_api: Api, actor_id: str) -> None:
    found = townclerk(shared_api.url, "audit", "forget", actor_id)
    assert_could_not(found)
    assert found.out == ""


def assert_could_not(found: Finished, code: int = 2) -> None:
    assert (found.code, found.err.count("\n")) == (code, 1)
    assert found.err.startswith("townclerk: ")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_forget__while_an_older_state_is_being_read__says_so_and_drops_the_bytes_when_asked_again(api: Api) -> None:
    name, actor_id = person(api)
    file = make_url(api.url).database or ""
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM actors").fetchall()
        assert_could_not(townclerk(api.url, "audit", "forget", actor_id), code=0)
        reader.execute("COMMIT")
    assert townclerk(api.url, "audit", "forget", actor_id).code == 1
    assert [end for end in ("", "-wal") if name.encode() in Path(file + end).read_bytes()] == []


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_forget__as_a_role_that_may_not_vacuum__says_so_and_is_done(api: Api) -> None:
    _, actor_id = person(api)
    role = f"clerk_{make_url(api.url).database}"
    asyncio.run(
        run(
            api.url,
            f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        )
    )
    try:
        url = make_url(api.url).set(username=role, password="clerk")  # noqa: S106  # of a role that is dropped below
        assert_could_not(townclerk(url.render_as_string(hide_password=False), "audit", "forget", actor_id), code=0)
    finally:
        asyncio.run(run(api.url, f"DROP OWNED BY {role}", f"DROP ROLE {role}"))
    assert townclerk(api.url, "audit", "forget", actor_id).code == 1


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
