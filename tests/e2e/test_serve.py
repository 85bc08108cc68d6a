"""Servers as processes: what they answer, how they end, and that nothing acknowledged is lost when they are killed."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest
from sqlalchemy import make_url

from tests.client import Api, Json, serving
from tests.databases import Databases
from tests.e2e.process import SECONDS, serving_process, townclerk
from tests.sizes import sized
from tests.towns import HAIKU, OPUS, SONNET, make_town, publish, rule, sync

ROUNDS = sized("kill_rounds", quick=1, ci=4)


@pytest.fixture(scope="module")
def two_servers(backend: str, databases: Databases) -> Iterator[tuple[Api, Api]]:
    """Two processes that serve one database."""
    url = databases.fresh(backend)
    with serving_process(url) as one, serving_process(url) as other:
        yield one.api, other.api


@dataclass(frozen=True, kw_only=True)
class Stopped:
    exit_code: int
    log: list[Json]


@pytest.fixture(scope="module")
def stopped(backend: str, databases: Databases) -> Stopped:
    """What is left of a server that has answered a request and was asked to end."""
    with serving_process(databases.fresh(backend)) as server:
        server.api.data("{ labels { name } }", headers={"X-Request-Id": "mine-1"})
        exit_code = server.stop()
        return Stopped(exit_code=exit_code, log=[json.loads(line) for line in server.log])


def test_server__of_an_empty_database__answers_for_the_demo_town(two_servers: tuple[Api, Api]) -> None:
    query = '{ resolution(beadId: "demo-fixup") { model because } }'
    for api in two_servers:
        assert api.data(query)["resolution"] == {
            "model": SONNET,
            "because": "override “Polecat — label: gt:pr-fixup, rig: web”",
        }


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_server__started__is_alive_and_ready(two_servers: tuple[Api, Api], path: str) -> None:
    assert [api.http.get(path).status_code for api in two_servers] == [200, 200]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_server__of_an_address_that_is_taken__could_not_be_started(databases: Databases, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = townclerk(databases.fresh("sqlite"), "serve", "--dev", "--port", port, "--workers", workers)
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith("townclerk: ")


def test_upload__that_its_client_breaks_off__is_no_fault_of_the_server(two_servers: tuple[Api, Api]) -> None:
    url = httpx2.URL(str(two_servers[0].http.base_url))
    numbers = 'townclerk_http_request_seconds_count{method="POST",path="/graphql",status="499"}'
    with socket.create_connection((url.host, url.port)) as connection:
        head = "POST /graphql HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        connection.sendall(head.encode())
    deadline = time.monotonic() + SECONDS
    while numbers not in (shown := two_servers[0].http.get("/metrics").text):
        assert time.monotonic() < deadline, shown


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_server__of_an_sqlite_file_that_is_not_there__makes_it(backend: str, databases: Databases) -> None:
    with serving_process(databases.empty(backend)) as server:
        assert server.api.data('{ town(townId: "demo") { name } }')["town"] == {"name": "Demo town"}


def test_server__of_a_database_with_towns__makes_no_demo_town(backend: str, databases: Databases) -> None:
    url = databases.fresh(backend)
    with serving(url) as api:
        make_town(api)
    with serving_process(url) as server:
        assert server.api.data('{ town(townId: "demo") { name } }')["town"] is None


def test_write__through_one_server__is_seen_at_once_through_the_other(two_servers: tuple[Api, Api]) -> None:
    one, other = two_servers
    town_id = make_town(one)
    bead_id = f"{town_id}-bead"
    for number in range(10):
        writer, reader = (one, other) if number % 2 else (other, one)
        sync(writer, town_id, {"beadId": bead_id, "labels": [f"state-{number}", "gt:rework"]})
        model = (OPUS, HAIKU)[number % 2]
        publish(writer, town_id, overrides=[rule(model, role="POLECAT", label="gt:rework")])
        query = "query ($b: ID!) { bead(beadId: $b) { labels resolution { model overrideSetVersion } } }"
        assert reader.data(query, b=bead_id)["bead"] == {
            "labels": [f"state-{number}", "gt:rework"],
            "resolution": {"model": model, "overrideSetVersion": number + 2},
        }


def test_kill__right_after_a_publish_was_acknowledged__loses_nothing(backend: str, databases: Databases) -> None:
    url = databases.fresh(backend)
    acknowledged: list[Json] = []
    for number in range(ROUNDS):
        with serving_process(url) as server:
            assert published(server.api) == acknowledged
            model = (OPUS, HAIKU)[number % 2]
            made = publish(server.api, "demo", PUBLISHED, overrides=[rule(model, role="MAYOR")])
            server.kill()
        acknowledged.insert(0, made["overrideSet"])
    with serving_process(url) as server:
        assert published(server.api) == acknowledged


def test_server__asked_to_end__ends_well(stopped: Stopped) -> None:
    assert stopped.exit_code == 0
    assert stopped.log[-1]["level"] == "info"


def test_log__of_a_request__is_json_with_its_request_id(stopped: Stopped) -> None:
    (line,) = [line for line in stopped.log if line.get("request_id") == "mine-1"]
    assert {name: line[name] for name in ("event", "method", "path", "status", "level")} == {
        "event": "request",
        "method": "POST",
        "path": "/graphql",
        "status": 200,
        "level": "info",
    }


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_server__of_a_database_behind_a_password__tells_it_to_nobody(backend: str, databases: Databases) -> None:
    url = make_url(databases.fresh(backend)).set(password="open-sesame")  # noqa: S106  # which nobody asks for here
    with serving_process(url.render_as_string(hide_password=False)) as server:
        assert server.api.data("{ labels { name } }")
        server.stop()
        assert "open-sesame" not in server.out + "".join(server.log)


PUBLISHED = "overrideSet { version contentHash createdAt cause overrides { key model setAt } }"


def published(api: Api) -> list[Json]:
    """The override sets of the demo town that were published since it was made, newest first."""
    query = (
        f'{{ town(townId: "demo") {{ overrideSets {{ edges {{ node {PUBLISHED.removeprefix("overrideSet ")} }} }} }} }}'
    )
    sets = [edge["node"] for edge in api.data(query)["town"]["overrideSets"]["edges"]]
    return [each for each in sets if each["version"] > 2]
