"""A disk without room: a typed refusal, reads that go on, nothing half written, and all well once there is room."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import asyncpg
import pytest
from sqlalchemy import make_url

from models.store.one_writer import Lent, OneWriter
from tests.client import Api, Json, serving
from tests.databases import Databases, prepare
from tests.postgres import postgres_server
from tests.tampering import faults
from tests.towns import make_town

UNAVAILABLE: Final = ["STORAGE_UNAVAILABLE"]
TITLE: Final = "x" * 300
MOUNTABLE: Final = os.geteuid() == 0
SYNC: Final = "mutation ($input: SyncBeadsInput!) { syncBeads(input: $input) { userErrors { code } } }"


class Room:
    """How much a database may still grow."""

    def __init__(self, api: Api, take: Callable[[], None], give: Callable[[], None]) -> None:
        self.api = api
        self.take = take
        self.give = give


@contextmanager
def sqlite_room(url: str) -> Iterator[Room]:
    """SQLite's own limit of pages, set on the writer's connection as it is taken."""
    pages = [0]
    unlimited = OneWriter.take

    async def limited(writer: OneWriter) -> Lent:
        lent = await unlimited(writer)
        lent.driver.execute(f"PRAGMA max_page_count = {pages[0]}")
        return lent

    def take() -> None:
        pages[0] = 1  # which SQLite takes for: not one more than there are

    def give() -> None:
        pages[0] = 1_000_000

    give()
    with pytest.MonkeyPatch.context() as patch, serving(url) as api:
        patch.setattr(OneWriter, "take", limited)
        yield Room(api, take, give)


@contextmanager
def postgresql_room() -> Iterator[Room]:
    """A database on a small disk in memory, which a file fills up. The server's log of changes has room elsewhere."""
    with postgres_server(synchronous_commit="on") as server:
        small = server.home / "small"
        server.make_folder(small)

        def mount(*options: str) -> None:
            subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "none", small], check=True)

        owner = small.stat()
        mount("size=24m", "mode=0700", f"uid={owner.st_uid}", f"gid={owner.st_gid}")
        try:
            asyncio.run(_run(server.url, f"CREATE TABLESPACE small LOCATION '{small}'"))
            asyncio.run(_run(server.url, "CREATE DATABASE tight TABLESPACE small"))
            url = make_url(server.url).set(database="tight").render_as_string()
            asyncio.run(prepare(url))
            filler = small / "filler"

            def take() -> None:
                with suppress(OSError), filler.open("wb", buffering=0) as file:
                    while True:
                        file.write(bytes(4096))

            with serving(url) as api:
                yield Room(api, take, filler.unlink)
        finally:
            server.stop()
            subprocess.run(["umount", small], check=True)


async def _run(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def room(backend: str, databases: Databases) -> Iterator[Room]:
    if backend == "sqlite":
        with sqlite_room(databases.fresh(backend)) as made:
            yield made
    elif not MOUNTABLE:
        pytest.skip("nothing can be mounted here, so PostgreSQL gets no disk that is full")
    else:
        with postgresql_room() as made:
            yield made


def sync(api: Api, town_id: str, round_: int) -> list[str]:
    """The codes of the errors that a large sync ends in."""
    beads = [{"beadId": f"{town_id}-{round_}-{number}", "title": TITLE} for number in range(300)]
    answer = api.execute(SYNC, input={"townId": town_id, "beads": beads})
    return [error["extensions"]["code"] for error in answer.get("errors", [])]


def test_write__on_a_full_disk__is_refused_whole_and_goes_through_once_there_is_room(room: Room) -> None:
    api = room.api
    town_id = make_town(api, rigs=())
    assert sync(api, town_id, 0) == []
    before = standing(api, town_id)
    for _ in range(2):
        room.take()
        assert sync(api, town_id, 1) == UNAVAILABLE
        assert standing(api, town_id) == before, "reads go on, and nothing is half written"
        assert api.http.get("/readyz").status_code == 200
        room.give()
    assert sync(api, town_id, 1) == []
    after = standing(api, town_id)
    assert [entry["action"] for entry in after["entries"]] == ["BEADS_SYNCED", "BEADS_SYNCED", "TOWN_CREATED"]
    assert faults(api.url) == {}


def standing(api: Api, town_id: str) -> Json:
    query = """query ($t: ID!, $old: ID!, $new: ID!) {
        town(townId: $t) { overrideSet { version } }
        old: bead(beadId: $old) { title } new: bead(beadId: $new) { title }
    }"""
    found = api.data(query, t=town_id, old=f"{town_id}-0-0", new=f"{town_id}-1-0")
    return {**found, "entries": api.entries(town_id, "sequence action hash")}
