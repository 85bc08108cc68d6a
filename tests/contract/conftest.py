"""Fixtures of contract tests."""

import asyncio
from collections.abc import Iterator

import pytest

from models.store.engine import Database, open_database
from tests.client import serving
from tests.contract.true_history import tell
from tests.databases import Databases
from tests.tampering import Owner, owning, owning_again


@pytest.fixture(scope="module")
def true_history(backend: str, databases: Databases) -> str:
    """The URL of a database with a history of every kind of entry. No test writes to it."""
    url = databases.fresh(backend)
    with serving(url, rollout_interval_seconds=3600) as api:
        tell(api)
    return url


@pytest.fixture(scope="module")
def owned(backend: str, databases: Databases, true_history: str) -> str:
    """The URL of a copy of it that holds no one any more. No test writes to it."""
    url = databases.copy(backend, true_history)
    with owning(url):
        return url


@pytest.fixture(scope="module")
def engines(backend: str, databases: Databases, owned: str) -> Iterator[tuple[asyncio.Runner, Database]]:
    """Engines for a copy of that, which each test has anew."""
    with asyncio.Runner() as runner:
        yield runner, open_database(databases.copy(backend, owned))


@pytest.fixture
def owner(databases: Databases, owned: str, engines: tuple[asyncio.Runner, Database]) -> Iterator[Owner]:
    """The owner of a copy of the true history."""
    with owning_again(*engines) as someone:
        yield someone
    databases.renew(someone.url, owned)
