"""Fixtures. Every test that asks for `api` runs on SQLite and on a real PostgreSQL."""

import gc
import os
from collections.abc import Iterator

import pytest

from api.observability import configure_logging
from tests.client import Api, serving
from tests.databases import BACKENDS, Databases
from tests.postgres import NoPostgresError, folder_in_memory
from tests.tampering import faults


@pytest.fixture(scope="session", autouse=True)
def _logs_as_served() -> None:
    """Logs are set up as a server sets them up; the library's own default would draw every request in colour."""
    configure_logging("ERROR")


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    with folder_in_memory() as folder:
        made = Databases(folder)
        yield made
        made.close()


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest, databases: Databases) -> str:
    """Which kind of database. Without a PostgreSQL that can be started its half fails in CI and is loud elsewhere."""
    kind: str = request.param
    if kind == "postgresql":
        try:
            assert databases.server
        except NoPostgresError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"the PostgreSQL half was not run: {error}")
    return kind


@pytest.fixture
def database_url(backend: str, databases: Databases) -> Iterator[str]:
    """A fresh database, migrated and seeded."""
    url = databases.fresh(backend)
    yield url
    databases.drop(url)


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    """A Townclerk of its own, with nothing in it but what every database begins with.

    Whatever a test did with it, the record has to explain it in the end.
    """
    with serving(database_url) as running:
        yield running
    assert faults(database_url) == {}


@pytest.fixture
def broken_api(database_url: str) -> Iterator[Api]:
    """A Townclerk of its own whose database a test breaks."""
    with serving(database_url) as running:
        yield running


@pytest.fixture(scope="module")
def shared_api(backend: str, databases: Databases) -> Iterator[Api]:
    """One Townclerk for a whole module: its tests make towns of their own and leave what is central alone.

    Whatever they did with it, the record has to explain it in the end.
    """
    url = databases.fresh(backend)
    with serving(url) as running:
        yield running
    assert faults(url) == {}


@pytest.fixture(scope="module")
def untrue_api(backend: str, databases: Databases) -> Iterator[Api]:
    """One Townclerk for a whole module whose tests put rows into its database that no record explains."""
    with serving(databases.fresh(backend)) as running:
        yield running


def pytest_collection_finish() -> None:
    """The garbage collector takes a tenth of the time unless it comes less often.

    Nor need it go through what has been imported again and again, which stays to the end.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    halves = {
        "the PostgreSQL half was not run": "on PostgreSQL: no server binaries were found",
        "the pages were not looked at": "in a browser: there is no Chromium, or the pages are not built",
    }
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for half, why in halves.items():
        skipped = sum(half in reason for reason in reasons)
        if skipped:
            terminalreporter.section("WARNING", red=True, bold=True)
            terminalreporter.line(f"{skipped} tests did NOT run {why}.")
