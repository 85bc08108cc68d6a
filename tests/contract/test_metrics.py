"""`GET /metrics`: what is counted, under names that no client can add to."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from sqlmodel import col

from models.store.engine import open_database
from models.store.towns import HeadRow
from tests.bulk import add_towns
from tests.client import Api, Json, serving
from tests.contract.recipes import REASON, profile_input
from tests.databases import Databases, prepare
from tests.postgres import postgres_server
from tests.sizes import SECONDS
from tests.towns import HAIKU, KILO, make_town, publish, rule, sync

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]
SET_OVERRIDE: Final = "setOverride"


def numbers(api: Api) -> Numbers:
    """Every sample by its name and labels."""
    answer = api.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return f"townclerk_{name}", tuple(sorted(labels.items()))


class Counting:
    """What is counted from here on."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.before = numbers(api)

    def __call__(self, name: str, **labels: str) -> float:
        now = numbers(self.api)
        return now.get(key(name, **labels), 0) - self.before.get(key(name, **labels), 0)


def test_metrics__while_a_process_is_coming_up__are_those_of_the_others(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / f"counter_{os.getpid()}.db").touch()  # as it is before anything is written to it
    with serving(database_url) as api:
        assert numbers(api)[key("database_up")] == 1


@pytest.fixture
def counting(shared_api: Api) -> Counting:
    return Counting(shared_api)


def test_operation__of_several_root_fields__counts_once_for_each(counting: Counting) -> None:
    counting.api.data(
        "query Mine { a: labels { name } ... on Query { models { modelId } } ...more b: labels { name } } "
        "fragment more on Query { profiles { name } }"
    )
    for field in ("labels", "models", "profiles"):
        assert counting("graphql_operation_seconds_count", operation="query", field=field) == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [("{ nothing_like_it }", "GRAPHQL_VALIDATION_FAILED"), ("{", "GRAPHQL_PARSE_FAILED")],
)
def test_operation__that_is_none__counts_as_none_with_its_code(counting: Counting, query: str, code: str) -> None:
    assert counting.api.codes(query) == [code]
    assert counting("graphql_operation_seconds_count", operation="none", field="other") == 1
    assert counting("graphql_errors_total", code=code) == 1


def test_labels__whatever_a_client_sends__hold_nothing_of_it(shared_api: Api) -> None:
    shared_api.http.get("/secret-path")
    shared_api.http.request("SECRETMETHOD", "/graphql")
    shared_api.execute("query secretName { secretAlias: labels { name } secretField }")
    shared_api.execute("query secretName { secretAlias: labels { name } }", headers={"X-Actor": "secret-actor"})
    shared_api.execute('{ resolution(beadId: "secret-bead") { model } }')
    assert "secret" not in shared_api.http.get("/metrics").text.lower()


def test_request__that_is_answered__is_counted_by_route_and_status(counting: Counting) -> None:
    counting.api.data("{ labels { name } }")
    counting.api.http.get("/elsewhere")
    assert counting("http_request_seconds_count", method="POST", path="/graphql", status="200") == 1
    assert counting("http_request_seconds_count", method="GET", path="other", status="404") == 1
    assert numbers(counting.api)[key("http_requests_in_flight")] == 1, "the one that asks"


def test_mutation__that_is_done_or_refused__is_counted_by_what_came_of_it(counting: Counting) -> None:
    town_id = make_town(counting.api, rigs=())
    given: Json = {"townId": town_id, "reason": REASON, "override": rule(HAIKU, "MAYOR")}
    counting.api.done("setOverride", expectedVersion=1, **given)
    assert counting.api.refusals("setOverride", expectedVersion=1, **given)[0][0] == "VERSION_CONFLICT"
    assert counting("mutations_total", mutation=SET_OVERRIDE, outcome="DONE") == 1
    assert counting("mutations_total", mutation=SET_OVERRIDE, outcome="VERSION_CONFLICT") == 1


def test_resolutions__of_all_kinds__are_counted_by_source(counting: Counting) -> None:
    town_id = make_town(counting.api, rigs=())
    beads = [f"{town_id}-{number}" for number in range(3)]
    publish(counting.api, town_id, overrides=[rule(KILO, "POLECAT")])
    sync(counting.api, town_id, *({"beadId": bead} for bead in beads))
    counting.api.data("query ($ids: [ID!]!) { resolutions(beadIds: $ids) { resolution { model } } }", ids=beads)
    counting.api.data("query ($id: ID!) { bead(beadId: $id) { resolution { model } } }", id=beads[0])
    counting.api.data("query ($t: ID!) { town(townId: $t) { defaultResolution { model } } }", t=town_id)
    assert counting("resolutions_total", source="OVERRIDE") == 4
    assert counting("resolutions_total", source="PROFILE") == 1


def test_pools__at_rest__have_nothing_in_use(shared_api: Api) -> None:
    shared_api.data("{ models { modelId } }")
    writers = 1 if shared_api.url.startswith("sqlite") else 5
    expected = {
        key("pool_connections_in_use", pool="read"): 0,
        key("pool_connections_in_use", pool="write"): 0,
        key("pool_connections_max", pool="read"): 5,
        key("pool_connections_max", pool="write"): writers,
    }
    found: Numbers = {}
    given_up = time.monotonic() + SECONDS
    while found != expected and time.monotonic() < given_up:  # what looks for work by itself may be at it
        found = {name: value for name, value in numbers(shared_api).items() if "_pool_" in name[0]}
    assert found == expected


async def look_for_no_rollouts(*_: object, **__: object) -> None:
    """In place of the look at the start, which may come late."""


@pytest.fixture
def lagging(backend: str, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A Townclerk with two towns that are due, which it does not look for, and one mayor that is to restart."""
    monkeypatch.setattr("api.app.roll_out_all", look_for_no_rollouts)
    url = databases.fresh(backend)
    add_towns(url, ["late-1", "late-2"])

    async def hide_and_show(version: int) -> None:
        database = open_database(url)
        try:
            async with database.writer.begin() as connection:
                towns = col(HeadRow.chain).in_(["late-1", "late-2"])
                await connection.execute(update(HeadRow).where(towns).values(version=version))
        finally:
            await database.dispose()

    with serving(url) as api:
        asyncio.run(hide_and_show(0))  # nobody finds them while the version is published
        api.done("publishProfileVersion", **profile_input("balanced", 1))
        town_id = make_town(api, rigs=())
        publish(api, town_id, overrides=[rule(KILO, "MAYOR")])
        asyncio.run(hide_and_show(1))
        yield api


def test_standing__with_signals_and_a_lag__is_told(lagging: Api) -> None:
    found = numbers(lagging)
    assert found[key("database_up")] == 1
    assert found[key("restart_signals_open")] == 1
    assert found[key("rollout_towns_due")] == 2


def test_process__by_itself__is_told_of(shared_api: Api) -> None:
    assert numbers(shared_api)["process_resident_memory_bytes", ()] > 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_metrics__while_the_database_is_away__tell_the_rest(backend: str) -> None:
    assert backend
    with postgres_server(synchronous_commit="on") as server:
        asyncio.run(prepare(server.url))
        with serving(server.url) as api:
            assert numbers(api)[key("database_up")] == 1
            server.stop()
            away = numbers(api)
            assert away[key("database_up")] == 0
            assert key("restart_signals_open") not in away
            assert key("http_requests_in_flight") in away
            server.start()
            assert numbers(api)[key("database_up")] == 1
