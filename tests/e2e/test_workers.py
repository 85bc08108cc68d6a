"""`serve --workers 2`: two processes behind one address, and one answer about both of them."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.databases import Databases
from tests.e2e.process import SECONDS, Server, serving_process
from tests.towns import make_town, publish

PAUSE = 0.05  # between two looks, which take processor time from those who are waited for
COUNT = "townclerk_graphql_operation_seconds_count"


@pytest.fixture
def server(backend: str, databases: Databases) -> Iterator[Server]:
    with serving_process(databases.fresh(backend), "--workers", "2") as running:
        await_workers(running)
        yield running
        assert running.has_ended or running.stop() == 0


def await_workers(server: Server) -> None:
    """Wait until both of them have come up: each brings a pool of five. The first one opens the door."""
    deadline = time.monotonic() + SECONDS
    pools = 0.0
    with connection(server) as http:
        while pools < 10:
            assert time.monotonic() < deadline, "two workers do not come up"
            time.sleep(PAUSE)
            with suppress(httpx2.ConnectError):
                pools = counted(http, "townclerk_pool_connections_max", pool="read")


@contextmanager
def held(*workers: int) -> Iterator[None]:
    """Workers that do nothing for as long as it lasts."""
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def connection(server: Server) -> Iterator[httpx2.Client]:
    """A connection of its own, which whichever worker takes it answers."""
    with httpx2.Client(base_url=server.api.http.base_url, timeout=SECONDS, trust_env=False) as http:
        yield http


def counted(http: httpx2.Client, name: str, **labels: str) -> float:
    samples = [it for family in text_string_to_metric_families(http.get("/metrics").text) for it in family.samples]
    return sum(it.value for it in samples if it.name == name and labels.items() <= it.labels.items())


def test_workers__answer_for_each_other__replace_the_dead_and_end_when_asked(server: Server) -> None:
    either_answers_and_tells_of_both(server)
    both_write(server)
    lose_one(server)
    await_workers(server)
    with connection(server) as http:
        deadline = time.monotonic() + SECONDS
        while counted(http, "townclerk_http_requests_in_flight") != 1:  # what the dead one was at counts no more
            assert time.monotonic() < deadline
            time.sleep(PAUSE)
        assert counted(http, "townclerk_pool_connections_max", pool="read") == 10
    workers = server.workers
    assert server.stop() == 0
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def either_answers_and_tells_of_both(server: Server) -> None:
    one, other = server.workers
    for silent in (one, other):
        with held(silent), connection(server) as http:
            for _ in range(3):
                answer = http.post("/graphql", json={"query": "{ labels { name } }"})
                assert answer.json()["data"]["labels"]
    for silent in (one, other):
        numbers = [0.0]
        deadline = time.monotonic() + SECONDS
        while numbers != [6, 1, 1]:  # each leaves its numbers for the other within a moment
            assert time.monotonic() < deadline, numbers
            time.sleep(PAUSE)
            with held(silent), connection(server) as http:
                numbers = [
                    counted(http, COUNT, field="labels"),
                    counted(http, "townclerk_http_requests_in_flight"),
                    counted(http, "townclerk_database_up"),
                ]


def both_write(server: Server) -> None:
    with ThreadPoolExecutor(4) as pool:
        towns = list(pool.map(lambda _: make_town(server.api), range(4)))
    assert [publish(server.api, town_id, honorBeadModels=True)["currentVersion"] for town_id in towns] == [2] * 4


def lose_one(server: Server) -> None:
    """Kill a worker that owes its parent a sign of life, for which that one would wait for a minute."""
    victim, _ = server.workers
    deadline = time.monotonic() + SECONDS
    with held(victim):
        while not server.waits_for_an_answer:
            assert time.monotonic() < deadline, "no sign of life is asked for"
        os.kill(victim, signal.SIGKILL)
    while victim in server.workers or len(server.workers) < 2:
        assert time.monotonic() < deadline, "the worker is not replaced"
        time.sleep(PAUSE)


def test_workers__whose_parent_is_killed__end_too(server: Server) -> None:
    server.kill()
    assert server.log, "the pipe that they wrote to is closed"
