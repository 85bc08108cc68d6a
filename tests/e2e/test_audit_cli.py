"""`townclerk audit export`, and the same export from a server, over a connection that something happens to."""

import asyncio
import itertools
import os
import subprocess
from typing import Final

import httpx2
import pytest

from models.store.engine import open_database
from tests.chains import add_chain
from tests.client import Api, serving
from tests.databases import Databases
from tests.e2e.process import SCRIPT, SECONDS, script, serving_process, townclerk
from tests.e2e.test_cli import NOWHERE, assert_could_not
from tests.towns import make_town, publish

A_MEGABYTE: Final = 1_000_000


@pytest.fixture(scope="module")
def url(backend: str, databases: Databases) -> str:
    """A database with the demo town and another; no test adds to them."""
    made = databases.fresh(backend)
    assert townclerk(made, "demo").code == 0
    with serving(made) as api:
        publish(api, "demo", honorBeadModels=True)
        api.done("createTown", townId="another", name="Größe")
    return made


def served(url: str, **parameters: str) -> str:
    """What a server exports."""
    with serving(url) as api:
        response = api.http.get("/audit/export", params=parameters)
    assert response.status_code == 200, response.text
    return response.content.decode()


def instant(url: str, town_id: str, sequence: int) -> str:
    with serving(url) as api:
        return str({it["sequence"]: it["occurredAt"] for it in api.entries(town_id, "sequence occurredAt")}[sequence])


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ([], {}),
        (["--format", "csv"], {"format": "csv"}),
        (["--town", "demo"], {"townId": "demo"}),
        (["--town", "demo", "--format", "jsonl"], {"townId": "demo"}),
        (["--town", "demo", "--format", "csv"], {"townId": "demo", "format": "csv"}),
    ],
    ids=" ".join,
)
def test_export__by_the_command__is_what_a_server_exports(
    url: str, arguments: list[str], parameters: dict[str, str]
) -> None:
    found = townclerk(url, "audit", "export", *arguments)
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines() == served(url, **parameters).splitlines()


def test_export__of_a_time__is_what_a_server_exports_of_it(url: str) -> None:
    since, until = instant(url, "demo", 2), instant(url, "demo", 4)
    found = townclerk(url, "audit", "export", "--town", "demo", "--since", since, "--until", until)
    assert found.out == served(url, townId="demo", since=since, until=until)
    assert found.out.count("\n") == 2 + 2


def test_export__of_everything__is_each_chain_after_the_other(url: str) -> None:
    found = townclerk(url, "audit", "export", "--all")
    assert found.out == served(url) + served(url, townId="another") + served(url, townId="demo")


def test_export__by_the_installed_script__is_utf_8_with_single_line_feeds(url: str) -> None:
    found = script(url, "audit", "export", "--town", "another")
    assert (found.code, found.out) == (0, served(url, townId="another"))
    assert "Größe" in found.out


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "arguments",
    [
        ["--town", "nowhere"],
        ["--town", "@central"],
        ["--town", ""],
        ["--format", "xml"],
        ["--since", "yesterday"],
        ["--since", "2026-11-23T09:30:00"],
        ["--until", ""],
        ["--since", "2026-11-23T09:30:01Z", "--until", "2026-11-23T09:30:00Z"],
        ["--all", "--town", "demo"],
        ["--all", "--format", "csv"],
    ],
    ids=" ".join,
)
def test_export__of_what_is_not_there__could_not_be_done(url: str, arguments: list[str]) -> None:
    assert_could_not(townclerk(url, "audit", "export", *arguments))


@pytest.mark.parametrize("where", [NOWHERE, "postgresql://nobody@127.0.0.1:1/x"], ids=["no folder", "no server"])
def test_export__from_a_database_out_of_reach__could_not_be_done(where: str) -> None:
    assert_could_not(townclerk(where, "audit", "export"))


def test_export__from_a_database_that_is_not_migrated__could_not_be_done(backend: str, databases: Databases) -> None:
    assert_could_not(townclerk(databases.empty(backend), "audit", "export"))


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_export__whose_reader_has_seen_enough__ends_in_silence(backend: str, databases: Databases) -> None:
    url = databases.fresh(backend)
    chain = add_chain(url, 10, size=A_MEGABYTE)
    with subprocess.Popen(
        [SCRIPT, "audit", "export", "--town", chain],
        env={**os.environ, "TOWNCLERK_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith(b'{"townclerkAuditExport":1,')
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(SECONDS) == 0


# ---- over a connection


def rename_entries(url: str, before: str, after: str) -> None:
    """Hide the table of entries from the service, or show it again."""

    async def run() -> None:
        database = open_database(url)
        try:
            async with database.writer.begin() as connection:
                await connection.exec_driver_sql(f"ALTER TABLE {before} RENAME TO {after}")
        finally:
            await database.dispose()

    asyncio.run(run())


def test_export__during_which_the_database_fails__is_cut_without_a_trailer(backend: str, databases: Databases) -> None:
    url = databases.fresh(backend)
    chain = add_chain(url, 50, size=A_MEGABYTE)  # more than the buffers on the way hold
    with serving_process(url) as server:
        received = bytearray()
        with server.api.http.stream("GET", "/audit/export", params={"townId": chain}) as response:
            assert response.status_code == 200
            chunks = response.iter_bytes()
            received += next(chunks)
            rename_entries(url, "audit_entries", "hidden_entries")
            with pytest.raises(httpx2.RemoteProtocolError):
                received.extend(itertools.chain.from_iterable(chunks))
        assert received.startswith(b'{"townclerkAuditExport":1,')
        assert b'{"end":' not in received
        rename_entries(url, "hidden_entries", "audit_entries")
        assert whole(server.api, chain)
        server.stop()
        assert any('"path": "/audit/export"' in line and '"level": "error"' in line for line in server.log)


def whole(api: Api, chain: str) -> bool:
    content = api.http.get("/audit/export", params={"townId": chain}).content
    return b'{"end":{"entries":50,' in content[-200:]


def test_export__whose_reader_goes_away__leaves_a_server_that_works(backend: str, databases: Databases) -> None:
    url = databases.fresh(backend)
    chain = add_chain(url, 50, size=A_MEGABYTE)
    with serving_process(url) as server:
        for _ in range(6):  # more often than it keeps connections to the database
            with server.api.http.stream("GET", "/audit/export", params={"townId": chain}) as response:
                assert next(response.iter_bytes())
        assert whole(server.api, chain)
        town_id = make_town(server.api)
        assert server.api.version(town_id) == 1
        server.stop()
        assert [line for line in server.log if '"level": "error"' in line] == []
