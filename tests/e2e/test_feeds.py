"""Feeds over real servers: whoever writes, whoever goes away, every subscriber has all of it once and in order."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from random import Random

import asyncpg
import pytest

from models.store.wake import LISTENER
from tests.bulk import add_entries
from tests.client import Api
from tests.databases import Databases
from tests.e2e.process import Server, serving_process
from tests.sizes import report, sized
from tests.streams import SECONDS, ClosedByServer, followed
from tests.towns import make_town, publish, rule
from tests.writing import Writer, writing

OVER = ("socket", "events")
MANY = sized("feed_entries", quick=200, ci=1_000)
KILLS = sized("feed_kills", quick=4, ci=8, full=20)  # of which the later have to be waited for, for seconds
RECONNECTS = sized("reconnects", quick=16, ci=50)
KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()
"""


@pytest.fixture(scope="module")
def url(backend: str, databases: Databases) -> str:
    return databases.fresh(backend)


@pytest.fixture(scope="module")
def servers(url: str) -> Iterator[tuple[Server, Server]]:
    """Two processes that serve one database."""
    with serving_process(url) as one, serving_process(url) as other:
        yield one, other


@pytest.fixture(scope="module")
def writer(url: str) -> Iterator[Writer]:
    with writing(url) as made:
        yield made


@pytest.mark.parametrize("over", OVER)
def test_feed__of_one_process__tells_what_another_writes(servers: tuple[Server, Server], over: str) -> None:
    one, other = (server.api for server in servers)
    town_id = make_town(one)
    fields = "sequence action reason actor { displayName } after"
    with followed(one, town_id, over=over, fields=fields) as entries:
        assert [entry["sequence"] for entry in islice(entries, 3)] == [1, 2, 3]
        for number, api in enumerate((other, one, other)):
            model = ("anthropic/claude-opus-4.7", "anthropic/claude-haiku-4.5")[number % 2]
            publish(api, town_id, overrides=[rule(model, role="MAYOR")])
            told = next(entries)
            assert told == api.entries(town_id, fields)[0]
            assert (told["sequence"], told["action"]) == (4 + number, "OVERRIDE_SET_PUBLISHED")


@pytest.mark.parametrize("over", OVER)
def test_feed__resumed_after_a_sequence__begins_with_the_next(
    servers: tuple[Server, Server], writer: Writer, url: str, over: str
) -> None:
    api = servers[0].api
    town_id = make_town(api)
    add_entries(url, town_id, 250)  # three pages
    for after in (0, 3, 99, 252):
        with followed(api, town_id, after, over=over) as entries:
            assert [entry["sequence"] for entry in islice(entries, 253 - after)] == list(range(after + 1, 254))
    with followed(api, town_id, 253, over=over) as entries:
        writer.write(town_id, 1)
        assert next(entries)["sequence"] == 254


def test_feed__of_a_client_that_reconnects_again_and_again__misses_none(
    servers: tuple[Server, Server], writer: Writer, url: str, backend: str
) -> None:
    """Each time to another process, by either transport, and after as little as no entry at all."""
    town_id = make_town(servers[0].api)
    random = Random(4)  # noqa: S311  # a test's dice
    had: list[int] = []
    with writing(url) as beside, ThreadPoolExecutor(1) as pool:
        written = pool.submit(beside.write, town_id, 6 * RECONNECTS)
        for number in range(RECONNECTS):
            api = servers[number % 2].api
            with followed(api, town_id, len(had), over=OVER[number // 2 % 2]) as entries:
                had += [entry["sequence"] for entry in islice(entries, random.randint(0, 6))]
        written.result(SECONDS)
    last = writer.head(town_id)
    with followed(servers[0].api, town_id, len(had), over="socket") as entries:
        had += [entry["sequence"] for entry in islice(entries, last - len(had))]
    assert had == list(range(1, 6 * RECONNECTS + 4))
    counts = {"reconnects": RECONNECTS, "entries heard": len(had), "missing": 0, "twice": 0}
    report("A client that reconnects", backend, counts)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_feeds__whose_listening_connection_is_killed_again_and_again__miss_none(
    servers: tuple[Server, Server], writer: Writer, url: str, backend: str
) -> None:
    town_id = make_town(servers[0].api)
    subscribers = ((servers[0].api, "socket"), (servers[0].api, "events"), (servers[1].api, "socket"))
    killed = 0
    with ThreadPoolExecutor(len(subscribers)) as pool:
        feeds = [pool.submit(sequences, api, town_id, over, MANY + 3) for api, over in subscribers]
        for _ in range(KILLS):
            killed += kill_a_listener(url)
            writer.write(town_id, MANY // KILLS)
        assert [feed.result(SECONDS) for feed in feeds] == [list(range(1, MANY + 4))] * 3
    assert killed == KILLS
    counts = {"entries": MANY + 3, "subscribers": 3, "killed listeners": killed, "missing": 0, "twice": 0}
    report("The listening connection killed", backend, counts)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # the other has its many above
def test_feeds__of_many_entries_written_by_another_process__have_each_once(
    servers: tuple[Server, Server], writer: Writer, backend: str
) -> None:
    town_id = make_town(servers[0].api)
    with ThreadPoolExecutor(2) as pool:
        feeds = [
            pool.submit(sequences, server.api, town_id, over, MANY + 3)
            for server, over in zip(servers, OVER, strict=True)
        ]
        writer.write(town_id, MANY)
        assert [feed.result(SECONDS) for feed in feeds] == [list(range(1, MANY + 4))] * 2
    report("A feed in another process", backend, {"entries": MANY + 3, "subscribers": 2, "missing": 0, "twice": 0})


def test_feeds__when_their_server_is_killed__go_on_at_another(
    servers: tuple[Server, Server], writer: Writer, url: str
) -> None:
    town_id = make_town(servers[0].api)
    with serving_process(url) as server, followed(server.api, town_id, over="socket") as entries:
        assert [entry["sequence"] for entry in islice(entries, 3)] == [1, 2, 3]
        server.kill()
        with pytest.raises(ClosedByServer):
            next(entries)
    writer.write(town_id, 2)
    with followed(servers[0].api, town_id, 3, over="events") as entries:
        assert [entry["sequence"] for entry in islice(entries, 2)] == [4, 5]


def sequences(api: Api, town_id: str, over: str, count: int) -> list[int]:
    """The first sequences that a feed tells."""
    with followed(api, town_id, over=over) as entries:
        return [entry["sequence"] for entry in islice(entries, count)]


def kill_a_listener(url: str) -> int:
    """Have the server end all connections that listen, once there is one; gives 1."""

    async def work() -> int:
        connection = await asyncpg.connect(url)
        try:
            given_up = time.monotonic() + SECONDS
            while not await connection.fetch(KILL, LISTENER):
                assert time.monotonic() < given_up, "nothing listens"
                await asyncio.sleep(0.01)
            return 1
        finally:
            await connection.close()

    return asyncio.run(work())
