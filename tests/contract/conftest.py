"""Fixtures of contract tests."""

from collections.abc import Iterator

import pytest

from tests.client import serving
from tests.contract.true_history import tell
from tests.databases import Databases
from tests.tampering import Owner, owning


@pytest.fixture(scope="module")
def true_history(backend: str, databases: Databases) -> str:
    """The URL of a database with a history of every kind of entry. No test writes to it."""
    url = databases.fresh(backend)
    with serving(url, rollout_interval_seconds=3600) as api:
        tell(api)
    return url


@pytest.fixture
def owner(backend: str, databases: Databases, true_history: str) -> Iterator[Owner]:
    """The owner of a copy of it."""
    url = databases.copy(backend, true_history)
    with owning(url) as someone:
        yield someone
    databases.drop(url)
