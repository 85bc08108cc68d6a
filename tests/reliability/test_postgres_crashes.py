"""PostgreSQL crashes under load and is started again: what was acknowledged stays, and the service comes back."""

import asyncio
import random
import time
from typing import Final

import pytest

from tests.databases import prepare as migrated
from tests.e2e.process import Server
from tests.postgres import postgres_server
from tests.reliability.checker import check
from tests.reliability.fleet import fleet_of
from tests.reliability.load import TASKS, Load, prepare
from tests.reliability.stored import sets, verified
from tests.sizes import SECONDS, report, sized

CLIENTS: Final = 8
TOWNS: Final = 4
CRASHES: Final = sized("crashes", quick=1, ci=2, full=20)
DURABLE: Final = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}  # as it is by default


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_postgres__stopped_at_once_and_started_under_load__loses_nothing_and_is_found_again(backend: str) -> None:
    moments = random.Random(backend)
    with postgres_server(**DURABLE) as database:
        asyncio.run(migrated(database.url))
        with fleet_of(database.url, 2) as fleet:
            load = Load(hall=fleet.hall, towns=prepare(fleet.servers[0].api, TOWNS), patient=True)
            with load.running(CLIENTS):
                for _ in range(CRASHES):
                    load.until_begun(3 * CLIENTS)
                    time.sleep(moments.uniform(0, 0.03))  # anywhere in a write
                    database.stop()
                    for server in fleet.servers:
                        await_status(server, 503)
                    database.start()
                    for server in fleet.servers:
                        await_status(server, 200)
                load.until_begun(CLIENTS)
        assert check(load.history, TASKS) == []
        found = sets(database.url, load.towns)
        assert found.lost(load.acknowledged) == []
        assert len(found.requests) == len(load.acknowledged), "what nobody was told of was written"
        in_doubt = [made for made in load.acknowledged if made.attempts > 1]
        counts = {"crashes": CRASHES, "acknowledged publishes": len(load.acknowledged)}
        counts |= {"first left unanswered": len(in_doubt), "of them written all the same": found.made_unheard(in_doubt)}
        report("PostgreSQL crashes", backend, counts | {"lost": 0, "entries verified": verified(database.url)})


def await_status(server: Server, status: int) -> None:
    """Wait until a server says that it is ready (200), or that it is not (503)."""
    deadline = time.monotonic() + SECONDS
    while server.api.http.get("/readyz").status_code != status:
        assert time.monotonic() < deadline, f"/readyz never says {status}"
        time.sleep(0.01)
