"""Servers for the proofs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.process import Server, serving_process

Serve = Callable[[], Server]


@pytest.fixture
def pair(database_url: str) -> Iterator[tuple[Server, Server]]:
    """Two processes that serve one database."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(serving_process(database_url)) for _ in range(2))
        yield one, other
