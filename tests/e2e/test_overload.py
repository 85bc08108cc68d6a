"""More than can be done at once, and longer than anyone waits: told so with a code, and nothing is left behind."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from models.services.access import COMMAND_LINE, built_in
from models.services.heads import lock_town
from models.store.unit import WriteUnit
from tests.client import Api
from tests.databases import Databases
from tests.e2e.guarded import guarded, serves
from tests.e2e.process import Server
from tests.raw import JSON_BODY, Answer, head, request, wire
from tests.streams import talking
from tests.tampering import faults
from tests.tokens import make_token
from tests.towns import make_town
from tests.waiting import UnderWay, under_way

LABELS: Final = b'{"query": "{ labels { name } }"}'
REGISTER: Final = '{}: registerRig(input: {{townId: $t, rigId: "{}", name: "Rig"}}) {{ userErrors {{ code }} }}'
AS_OF: Final = "query ($t: ID!, $at: DateTime!) { town(townId: $t) { overrideSetAt(asOf: {at: $at}) { version } } }"
_CALLER: Final = built_in(COMMAND_LINE, request_id="in-the-way")


# ---- more than one


@pytest.fixture(scope="module")
def small(backend: str, databases: Databases) -> Iterator[Server]:
    """A server that works on one request at once."""
    with guarded(databases.fresh(backend), max_requests=1) as running:
        yield running


def is_busy(answer: Answer) -> bool:
    assert answer.headers["retry-after"] == "1"
    return answer.refusal == (503, ["BUSY"])


def test_requests__beyond_the_most__are_sent_away_until_one_has_ended(small: Server) -> None:
    api, other = small.api, small.api.holding(make_token(small.api.url, "reader", name="other"))
    with wire(api) as first:
        first.send(head(JSON_BODY, f"Content-Length: {len(LABELS)}", api=api))
        while (answer := request(api, JSON_BODY, body=LABELS)).status == 200:
            pass  # the first is on its way
        assert is_busy(answer)
        assert is_busy(request(api, JSON_BODY, "Accept: text/event-stream", body=LABELS))
        assert is_busy(request(other, JSON_BODY, body=LABELS))
        assert request(api.holding(None), JSON_BODY, body=LABELS).refusal == (401, ["UNAUTHENTICATED"])
        for path in ("/healthz", "/readyz", "/metrics", "/audit/export"):  # a download is a stream
            assert request(api, method="GET", path=path).status == 200
        with talking(api) as made:
            assert [message["type"] for message in made.ask("{ labels { name } }")] == ["next", "complete"]
        first.send(LABELS)
        assert first.answer().status == 200
    assert serves(api)


def test_requests__of_one_credential__take_half_of_the_places(databases: Databases) -> None:
    with guarded(databases.fresh("sqlite"), max_requests=2) as server, wire(server.api) as first:
        other = server.api.holding(make_token(server.api.url, "reader", name="other"))
        first.send(head(JSON_BODY, f"Content-Length: {len(LABELS)}", api=server.api))
        while (answer := request(server.api, JSON_BODY, body=LABELS)).status == 200:
            pass  # the first is on its way
        assert is_busy(answer)
        assert serves(other)


def test_request__whose_client_goes__leaves_its_place(small: Server) -> None:
    for _ in range(3):
        with wire(small.api) as made:
            made.send(head(JSON_BODY, "Content-Length: 1000", api=small.api), LABELS)
            made.goes()
    while (answer := request(small.api, JSON_BODY, body=LABELS)).status != 200:
        assert is_busy(answer)


# ---- longer than anyone waits


@pytest.fixture(scope="module")
def server(backend: str, databases: Databases) -> Iterator[Server]:
    """A server that answers within a second, whatever the database would have it wait."""
    url = databases.fresh(backend)
    with guarded(url, request_seconds=1, database_statement_timeout_seconds=0) as running:
        yield running
    assert faults(url) == {}


def locked(server: Server, town_id: str) -> AbstractContextManager[UnderWay]:
    """Another process is at that town, or, on SQLite, at the database."""

    async def work(unit: WriteUnit) -> datetime:
        return (await lock_town(unit, _CALLER, town_id)).instant

    return under_way(server.api.url, work)


def register(town_id: str, *rigs: str) -> bytes:
    """A mutation that registers rigs, one after the other."""
    fields = " ".join(REGISTER.format(f"r{number}", rig_id) for number, rig_id in enumerate(rigs))
    return document(f"mutation ($t: ID!) {{ {fields} }}", t=town_id)


def document(query: str, **variables: Any) -> bytes:
    return json.dumps({"query": query, "variables": variables}).encode()


def outcome(answer: Answer) -> tuple[int, list[str]]:
    return answer.status, answer.codes


def is_too_late(answer: Answer) -> bool:
    assert answer.headers["retry-after"] == "1"
    return answer.refusal == (503, ["DEADLINE"])


def rigs(api: Api, town_id: str) -> list[str]:
    query = "query ($t: ID!) { town(townId: $t) { rigs { rigId } } }"
    return [rig["rigId"] for rig in api.data(query, t=town_id)["town"]["rigs"]]


def test_change__that_takes_too_long__is_told_so_and_not_made(server: Server) -> None:
    town_id = make_town(server.api, rigs=())
    with locked(server, town_id):
        answer = request(server.api, JSON_BODY, body=register(town_id, "late"))
        assert is_too_late(answer)
        assert serves(server.api)
    assert rigs(server.api, town_id) == []
    assert outcome(request(server.api, JSON_BODY, body=register(town_id, "late"))) == (200, [])
    assert rigs(server.api, town_id) == ["late"]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # SQLite has no limit for a statement
def test_statement__that_takes_too_long__is_told_of(backend: str, databases: Databases) -> None:
    settings = {"request_seconds": 60, "database_statement_timeout_seconds": 0.2}
    with guarded(databases.fresh(backend), **settings) as server:
        town_id = make_town(server.api, rigs=())
        with locked(server, town_id):
            for body in (register(town_id, "late", "later"), as_of(town_id)):
                assert outcome(request(server.api, JSON_BODY, body=body)) == (200, ["STORAGE_UNAVAILABLE"])
        assert rigs(server.api, town_id) == []


@pytest.mark.parametrize("body", [register, lambda town_id, _: as_of(town_id)], ids=["changes", "queries"])
def test_requests__that_take_too_long_by_the_dozen__keep_no_connection(
    server: Server, body: Callable[[str, str], bytes]
) -> None:
    town_id = make_town(server.api, rigs=())
    with locked(server, town_id), ThreadPoolExecutor(12) as pool:
        bodies = [body(town_id, f"rig-{number}") for number in range(12)]
        answers = pool.map(lambda each: request(server.api, JSON_BODY, body=each), bodies)
        assert all(map(is_too_late, answers))
        assert serves(server.api)
    assert rigs(server.api, town_id) == []
    assert outcome(request(server.api, JSON_BODY, body=register(town_id, "next"))) == (200, [])


def as_of(town_id: str) -> bytes:
    return document(AS_OF, t=town_id, at=datetime.now(UTC).isoformat())


def test_query__that_takes_too_long__is_told_so(server: Server) -> None:
    town_id = make_town(server.api, rigs=())
    with locked(server, town_id):
        assert is_too_late(request(server.api, JSON_BODY, body=as_of(town_id)))
        assert serves(server.api)
    answer = request(server.api, JSON_BODY, body=as_of(town_id))
    assert json.loads(answer.body) == {"data": {"town": {"overrideSetAt": {"version": 1}}}}


def test_sign_in__while_the_database_is_written_to__waits_for_nobody(server: Server) -> None:
    town_id = make_town(server.api, rigs=())
    token = make_token(server.api.url, "reader")  # not used before, which is noted
    with locked(server, town_id):
        assert serves(server.api.holding(token))
