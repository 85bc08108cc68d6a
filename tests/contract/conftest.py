"""Fixtures of contract tests."""

import asyncio
from collections.abc import Iterator
from typing import Final

import pytest

from models.store.engine import Database, open_database
from tests.client import Api, serving
from tests.contract.true_history import tell
from tests.databases import Databases
from tests.tampering import Owner, faults, owning, owning_again

_NEVER: Final = 3600.0  # seconds between two looks for unfinished rollouts: none within a test


@pytest.fixture(scope="module")
def dev(backend: str, databases: Databases) -> Iterator[Api]:
    """A Townclerk for a whole module that asks nobody who they are. Its tests may change what is central."""
    url = databases.fresh(backend)
    with serving(url, rollout_interval_seconds=_NEVER) as running:
        yield running
    assert faults(url) == {}


@pytest.fixture(scope="module")
def shut(dev: Api) -> Iterator[Api]:
    """Another one over the same database, which asks for a credential."""
    with serving(dev.url, dev=False, rollout_interval_seconds=_NEVER) as running:
        yield running


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
