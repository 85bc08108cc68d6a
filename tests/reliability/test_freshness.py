"""An answer is never older than the last commit before it was asked for, whoever made it, and whoever is asked.

Most commits are made by plain SQL, since the writes of the service take longer than all the rest: what counts is that
they are committed.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Final

import asyncpg
import pytest
from sqlalchemy import make_url

from models.domain.tokens import Scope
from tests.client import Api, Json
from tests.e2e.process import Server, serving_process
from tests.reliability.wire import Client, Hall
from tests.sizes import report, sized
from tests.tokens import make_token
from tests.towns import HAIKU, KILO, OPUS, make_town, publish, rule, sync

WORKERS: Final = 4
ROUNDS: Final = sized("fresh_rounds", quick=800, ci=10_000, full=1_000_000) // WORKERS
SYNCS: Final = sized("fresh_syncs", quick=20, ci=200, full=10_000) // WORKERS
ROLES: Final = ("MAYOR", "POLECAT", "REFINERY")
VERSIONS: Final = 4
ASK: Final = "query ($id: ID!) { resolution(beadId: $id) { role overrideSetVersion model } }"
SYNC: Final = "mutation ($input: SyncBeadsInput!) { syncBeads(input: $input) { userErrors { code } } }"
COMMITS: Final = (
    "UPDATE beads SET signature = {} WHERE bead_id = {}",
    "UPDATE heads SET version = {} WHERE chain = {}",
)

Commit = Callable[[int, str | int, str], None]  # which of `COMMITS`, with what, where


@contextmanager
def committing(url: str) -> Iterator[Commit]:
    """Changes by plain SQL, each committed when it returns."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(str(make_url(url).database), timeout=60, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            yield lambda which, value, key: connection.execute(COMMITS[which].format("?", "?"), (value, key)).close()
        return
    with asyncio.Runner() as runner:
        asked = runner.run(asyncpg.connect(url))

        def commit(which: int, value: str | int, key: str) -> None:
            runner.run(asked.execute(COMMITS[which].format("$1", "$2"), value, key))

        yield commit
        runner.run(asked.close())


@pytest.fixture
def guarded_pair(database_url: str) -> Iterator[tuple[tuple[Server, Server], str]]:
    """Two processes that serve one database to those who hold a token, and one that may do everything.

    So answers come from where a dispatcher's come from: see docs/decisions/0008.
    """
    token = make_token(database_url, *Scope)
    with ExitStack() as stack:
        one, other = (stack.enter_context(serving_process(database_url, dev=False)) for _ in range(2))
        yield (one, other), token


def town_with_bead(api: Api) -> tuple[str, str]:
    """A town whose override sets differ for each role, and a bead of it."""
    town_id = make_town(api, rigs=())
    for model in (HAIKU, OPUS, KILO):
        publish(api, town_id, overrides=[rule(model, role) for role in ROLES])
    sync(api, town_id, {"beadId": f"{town_id}-bead"})
    return town_id, f"{town_id}-bead"


def told(client: Client, number: int, bead_id: str) -> Json:
    resolution: Json = client.ask(number, ASK, {"id": bead_id})["data"]["resolution"]
    return resolution


def test_answer__right_after_a_commit__is_not_older(
    guarded_pair: tuple[tuple[Server, Server], str], database_url: str, backend: str
) -> None:
    servers, token = guarded_pair
    hall, towns = Hall(*servers), [town_with_bead(servers[0].api.holding(token)) for _ in range(WORKERS)]

    def rounds(worker: int) -> int:
        town_id, bead_id = towns[worker]
        version, role, stale = VERSIONS, "POLECAT", 0
        with closing(Client(hall, f"reader-{worker}", token=token)) as client, committing(database_url) as commit:
            for number in range(ROUNDS):
                if number % 2:
                    version = version % VERSIONS + 1
                    commit(1, version, town_id)
                else:
                    role = ROLES[number // 2 % 3]
                    commit(0, f"{role.lower()}|||", bead_id)
                found = told(client, number // 3 % 2, bead_id)
                stale += (found["overrideSetVersion"], found["role"]) != (version, role)
            commit(1, VERSIONS, town_id)
        return stale

    def syncs(worker: int) -> int:
        town_id, bead_id = towns[worker]
        stale = 0
        with closing(Client(hall, f"writer-{worker}", token=token)) as client:
            for number in range(SYNCS):
                role = ROLES[number % 3]
                bead = {"beadId": bead_id, "title": "A bead", "type": "ISSUE", "status": "OPEN", "role": role}
                client.ask(number % 2, SYNC, {"input": {"townId": town_id, "beads": [bead]}})
                stale += told(client, (number + 1) % 2, bead_id)["role"] != role
        return stale

    with ThreadPoolExecutor(WORKERS) as pool:
        assert sum(pool.map(rounds, range(WORKERS))) == 0
        assert sum(pool.map(syncs, range(WORKERS))) == 0
    counts = {"commits, each read by the next request": WORKERS * ROUNDS, "of the service": WORKERS * SYNCS, "stale": 0}
    report("Answers are never stale", backend, counts)
