"""A server that is asked to end: what is under way is finished, and nothing new is taken."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, Final

import asyncpg
import httpx2
import pytest
from sqlalchemy import make_url

import api.app
from tests.databases import Databases
from tests.e2e.process import SECONDS, Server, serving_process
from tests.proxy import proxy
from tests.streams import followed
from tests.towns import make_town, publish

# The statement that a silent database was asked is given up at its limit, which may be the last thing that ends.
IN_A_HURRY: Final[dict[str, Any]] = {
    "feed_poll_seconds": 0.1,
    "shutdown_seconds": 1,
    "database_statement_timeout_seconds": 1,
}


@contextmanager
def locked(url: str, town_id: str) -> Iterator[None]:
    """A town that someone else's transaction has locked."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(make_url(url).database or "", isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
        return
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url))
        try:
            runner.run(connection.execute("BEGIN"))
            runner.run(connection.execute("SELECT 1 FROM heads WHERE chain = $1 FOR UPDATE", town_id))
            yield
        finally:
            runner.run(connection.close())


def writes_under_way(server: Server) -> bool:
    shown = server.api.http.get("/metrics").text
    return 'townclerk_pool_connections_in_use{pool="write"} 1.0' in shown


def is_refused(server: Server) -> bool:
    try:
        httpx2.get(server.api.http.base_url.join("/healthz"), timeout=SECONDS, trust_env=False)
    except (
        httpx2.ConnectError,
        httpx2.ReadError,
        httpx2.RemoteProtocolError,
    ):  # the last two while it waits to be let in
        return True
    return False


def test_server__asked_to_end_during_a_request__finishes_it_and_takes_no_other(
    backend: str, databases: Databases
) -> None:
    url = databases.fresh(backend)
    with serving_process(url) as server, ThreadPoolExecutor(1) as pool:
        with locked(url, "demo"):
            answer = pool.submit(publish, server.api, "demo", honorBeadModels=True)
            deadline = time.monotonic() + SECONDS
            while not writes_under_way(server):
                assert time.monotonic() < deadline, "the write does not begin"
            server.ask_to_end()
            while not is_refused(server):
                assert time.monotonic() < deadline, "new requests are still taken"
        assert answer.result(SECONDS)["currentVersion"] == 3
        assert server.stop() == 0


def waits_little() -> None:
    api.app._READY_SECONDS = api.app._END_SECONDS = 0.5  # type: ignore[misc]  # noqa: SLF001  # or the test takes a minute


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_server__whose_database_says_nothing__is_not_ready_and_ends_when_asked(
    backend: str, databases: Databases
) -> None:
    with (
        proxy(databases.fresh(backend)) as stretch,
        serving_process(stretch.url, plant=waits_little, **IN_A_HURRY) as server,
        followed(server.api, make_town(server.api), over="events") as entries,
    ):
        assert next(entries)["sequence"] == 1  # so that there is something to poll for
        for ready in (200, 503, 200, 503):
            stretch.silent = ready == 503
            assert server.api.http.get("/readyz").status_code == ready
        assert server.stop() == 0
