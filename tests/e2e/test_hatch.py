"""What is handed out through the hatch is what the door would answer, whoever asks, and however it is sent."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import asyncpg
import pytest

from models.store.strict import BEADS, STRICT_READER
from tests.client import Api
from tests.databases import Databases
from tests.e2e.guarded import guarded
from tests.e2e.process import Server
from tests.e2e.test_hostile_connections import HURRIED_SECONDS, hurry
from tests.raw import CHUNKED, HANDSHAKE, JSON_BODY, Answer, Wire, head, request, wire
from tests.tokens import make_token
from tests.towns import HAIKU, make_town, publish, rule, sync

TO_THE_DOOR: Final = "Origin: https://elsewhere.example"  # whatever a page of elsewhere asks goes there
BLOCKED: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database() "
    "AND wait_event_type = 'Lock'"
)
RESOLUTION: Final = "query ($id: ID!) { resolution(beadId: $id) { model because matchedRule { key source } } }"
# A request whose head is like others' need not be parsed; one with an id of its own has to be.
UNPARSED: Final[tuple[str, ...]] = ()
PARSED: Final = ("X-Request-Id: the-same",)
WAYS: Final = {"unparsed": UNPARSED, "parsed": PARSED}
PARTS: Final = (1, 30, 60)  # where a body is torn apart
QUESTIONS: Final[dict[str, str]] = {
    "resolution": RESOLUTION,
    "with its bead": "query ($id: ID!) { resolution(beadId: $id) { beadId model considered { key outcome } } }",
    "resolutions": "query ($ids: [ID!]!) { resolutions(beadIds: $ids) { beadId resolution { model } error { code } } }",
    "taskResolution": 'query ($t: ID!) { taskResolution(townId: $t, task: {rigId: "web"}) { model because } }',
    "mayor": "query ($t: ID!) { town(townId: $t) { name mayor { desired { model } restartRequired } } }",
}


@pytest.fixture(scope="module")
def server(backend: str, databases: Databases) -> Iterator[Server]:
    with guarded(databases.fresh(backend)) as running:
        yield running


@pytest.fixture(scope="module")
def town(server: Server) -> str:
    return filled(server.api)


def filled(api: Api) -> str:
    """A town with an override and three beads, of which `{town}-0` and `{town}-2` are alike, and `{town}-1` is not."""
    town_id = make_town(api)
    publish(api, town_id, overrides=[rule(HAIKU, "POLECAT", "gt:pr-fixup")])
    fixups = [{"beadId": f"{town_id}-{number}", "labels": ["gt:pr-fixup"]} for number in (0, 2)]
    sync(api, town_id, *fixups, {"beadId": f"{town_id}-1"})
    return town_id


def asked(query: str, **variables: Any) -> bytes:
    return json.dumps({"query": query, "variables": variables}).encode()


def about(name: str, town_id: str) -> bytes:
    variables = {"id": f"{town_id}-0", "ids": [f"{town_id}-0", "nowhere", f"{town_id}-1"], "t": town_id}
    query = QUESTIONS[name]
    return asked(query, **{key: value for key, value in variables.items() if f"${key}:" in query})


def warmed(api: Api, body: bytes, *lines: str) -> None:
    """Have all kept that an answer takes, and the head known, if it has nothing that is for once."""
    for _ in range(3):
        assert request(api, JSON_BODY, *lines, body=body).status == 200


def told(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """An answer without what is the moment's or the request's alone."""
    odd = {"date", "x-request-id"}
    return answer.status, {name: value for name, value in answer.headers.items() if name not in odd}, answer.body


ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


# ---- the same


@ways
@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/graphql-response+json"])
@pytest.mark.parametrize("name", QUESTIONS)
def test_answer__at_the_hatch__is_the_doors(
    server: Server, town: str, name: str, accept: str, way: tuple[str, ...]
) -> None:
    body = about(name, town)
    lines = (f"Accept: {accept}", *way)
    warmed(server.api, body, *lines)
    at_the_hatch = told(request(server.api, JSON_BODY, *lines, body=body))
    assert at_the_hatch == told(request(server.api, JSON_BODY, *lines, TO_THE_DOOR, body=body))
    assert at_the_hatch[2].startswith(b'{"data":{')


def test_answers__have_ids_of_their_own(server: Server, town: str) -> None:
    body = about("resolution", town)
    warmed(server.api, body)
    given = [request(server.api, JSON_BODY, *PARSED, body=body).headers["x-request-id"] for _ in range(2)]
    assert given == ["the-same", "the-same"]
    made = {request(server.api, JSON_BODY, body=body).headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3


@ways
@pytest.mark.parametrize("is_bound", [True, False])
@pytest.mark.parametrize("name", QUESTIONS)
def test_answer__for_those_who_may_see_less__is_the_doors(
    server: Server, town: str, name: str, way: tuple[str, ...], *, is_bound: bool
) -> None:
    body = about(name, town)
    warmed(server.api, body)  # so that all of it is known
    scope, towns = ("dispatcher", [make_town(server.api)]) if is_bound else ("auditor", None)
    other = server.api.holding(make_token(server.api.url, scope, towns=towns))
    for _ in range(3):
        found = [told(request(other, JSON_BODY, *way, *more, body=body)) for more in ((), (TO_THE_DOOR,))]
        assert found[0] == found[1]


def test_body__that_says_something_else_under_the_same_head__is_answered_as_at_the_door(
    server: Server, town: str
) -> None:
    body = about("resolution", town)
    warmed(server.api, body)
    missing = body.replace(f"{town}-0".encode(), f"{town}-7".encode())
    others = [missing, body.replace(b"model", b"modal"), b"x" * len(body), body[:-1] + b" ", b"\xff" * len(body)]
    for other in others:
        assert len(other) == len(body)
        found = [told(request(server.api, JSON_BODY, *more, body=other)) for more in ((), (TO_THE_DOOR,))]
        assert found[0] == found[1]
        assert b'"errors":' in found[0][2]


def test_beads__that_are_alike__are_each_told_by_their_names(server: Server, town: str) -> None:
    warmed(server.api, about("with its bead", town))
    for bead_id in (f"{town}-0", f"{town}-2"):
        body = asked(QUESTIONS["with its bead"], id=bead_id)
        assert json.loads(request(server.api, JSON_BODY, body=body).body)["data"]["resolution"]["beadId"] == bead_id


def test_bead__that_moves__is_answered_as_it_stands(server: Server, town: str) -> None:
    body = asked(RESOLUTION, id=f"{town}-1")
    warmed(server.api, body)
    before = request(server.api, JSON_BODY, body=body).body
    sync(server.api, town, {"beadId": f"{town}-1", "labels": ["gt:pr-fixup"]})
    after = request(server.api, JSON_BODY, body=body).body
    assert (HAIKU in before.decode(), HAIKU in after.decode()) == (False, True)


# ---- however it is sent


def test_body__that_comes_in_parts__is_answered(server: Server, town: str) -> None:
    body = about("resolution", town)
    warmed(server.api, body)
    whole = request(server.api, JSON_BODY, body=body).body
    for at in PARTS:
        with wire(server.api) as made:
            made.send(head(JSON_BODY, f"Content-Length: {len(body)}", api=server.api), body[:at])
            assert request(server.api, JSON_BODY, body=body).body == whole
            made.send(body[at:])
            assert made.answer().body == whole


def test_requests__sent_at_once__are_answered_in_their_order(server: Server, town: str) -> None:
    bodies = [about(name, town) for name in QUESTIONS]
    for body in bodies:
        warmed(server.api, body)
    alone = [request(server.api, JSON_BODY, body=body).body for body in bodies]
    with wire(server.api) as made:
        made.send(
            *(
                head(JSON_BODY, f"Content-Length: {len(body)}", f"X-Request-Id: number-{number}", api=server.api) + body
                for number, body in enumerate(bodies)
            )
        )
        stream = made.socket.makefile("rb")
        for number, body in enumerate(alone):
            lines = iter(stream.readline, b"\r\n")
            heads = dict(line.rstrip().lower().split(b": ", 1) for line in lines if b": " in line)
            assert heads[b"x-request-id"] == b"number-%d" % number
            assert stream.read(int(heads[b"content-length"])) == body


def test_connection__that_is_to_be_closed__is(server: Server, town: str) -> None:
    body = about("resolution", town)
    warmed(server.api, body)
    with wire(server.api) as made:
        made.send(head(JSON_BODY, "Connection: close", f"Content-Length: {len(body)}", api=server.api), body)
        answer = made.ended()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"\r\nconnection: close\r\n" in answer


def test_body__that_waits_to_be_asked_for__is(server: Server, town: str) -> None:
    body = about("resolution", town)
    warmed(server.api, body)
    with wire(server.api) as made:
        made.send(head(JSON_BODY, "Expect: 100-continue", f"Content-Length: {len(body)}", api=server.api))
        assert made.socket.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        made.send(body)
        assert made.answer().status == 200


@ways
def test_connection__that_is_in_use__is_kept(backend: str, databases: Databases, way: tuple[str, ...]) -> None:
    with guarded(databases.fresh(backend), plant=hurry) as hurried:
        body = about("resolution", filled(hurried.api))
        warmed(hurried.api, body)
        sent = head(JSON_BODY, *way, f"Content-Length: {len(body)}", api=hurried.api) + body
        for _ in range(2):  # on connections of their own, so that this one begins with a head that is known
            with wire(hurried.api) as made:
                made.send(sent)
                assert made.answer().status == 200
        with wire(hurried.api) as made:
            until = time.monotonic() + 3 * HURRIED_SECONDS
            while time.monotonic() < until:
                made.send(sent)
                assert made.answer().status == 200
            made.send(sent[:20])  # and the next has as long as any
            assert made.dribbles(b"")
            assert made.answer().refusal == (408, ["DEADLINE"])


# ---- what is noted of it


def test_requests__at_the_hatch__are_logged_and_counted_as_the_others(backend: str, databases: Databases) -> None:
    with guarded(databases.fresh(backend)) as server:
        body = about("resolution", filled(server.api))
        warmed(server.api, body)
        before = numbers(server.api)
        ids = []
        for more in (UNPARSED, PARSED, (*PARSED, TO_THE_DOOR)):
            answer = request(server.api, JSON_BODY, *more, body=body)
            assert answer.status == 200
            ids.append(answer.headers["x-request-id"])
        after = numbers(server.api)
    counted = {name: after[name] - before.get(name, 0) for name in after if "_count{" in name or "_total{" in name}
    assert {name: count for name, count in counted.items() if count and "metrics" not in name} == {
        'townclerk_http_request_seconds_count{method="POST",path="/graphql",status="200"}': 3,
        'townclerk_graphql_operation_seconds_count{field="resolution",operation="query"}': 3,
        'townclerk_graphql_operations_total{way="compiled"}': 3,
        'townclerk_resolutions_total{source="OVERRIDE"}': 3,
    }
    lines = [json.loads(line) for line in server.log]
    left = [line for line in lines if line.get("request_id") in ids]
    assert [line.pop("request_id") for line in left] == ids
    first, *others = [{**line, "milliseconds": 0, "at": ""} for line in left]
    assert others == [first, first]
    assert first["fields"] == ["resolution"]


def numbers(api: Api) -> dict[str, float]:
    text = request(api, method="GET", path="/metrics").body.decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("townclerk_"))
    return {name: float(value) for name, _, value in lines}


def test_rate__of_a_credential__counts_each_request_once(backend: str, databases: Databases) -> None:
    url = databases.fresh(backend)
    with guarded(url, max_requests_per_second=2) as server:
        town_id = filled(server.api)
        warmed(server.api.holding(make_token(url, "dispatcher")), about("resolution", town_id))
        other = server.api.holding(make_token(url, "dispatcher"))
        body = asked(RESOLUTION, id="nowhere")  # which is found out at the hatch, and told at the door
        assert [request(other, JSON_BODY, body=body).status for _ in range(4)] == [200] * 4
        statuses = {request(other, JSON_BODY, body=body).status for _ in range(40)}
        assert 429 in statuses


# ---- while the database keeps it waiting


only_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True, scope="module")


@contextmanager
def waiting(
    api: Api,
    body: bytes,
    heard: list[bytes] | None = None,
    way: tuple[str, ...] = UNPARSED,
    instead: bytes | None = None,
    until: bytes | None = None,
) -> Iterator[Wire]:
    """A request that waits for a table that is taken. That is given back in the end, and what comes then is heard.

    It is `body`'s, which is warmed, or that of one as long `instead`. Heard is all, or all `until` some bytes are.
    """
    warmed(api, body)
    with asyncio.Runner() as runner:
        holder = runner.run(asyncpg.connect(api.url))
        onlooker = runner.run(asyncpg.connect(api.url))
        taken = holder.transaction()
        runner.run(taken.start())
        runner.run(holder.execute("LOCK TABLE beads IN ACCESS EXCLUSIVE MODE"))
        with wire(api) as made:
            made.send(
                head(f"Content-Length: {len(body)}", JSON_BODY, *way, api=api), instead or body
            )  # as `request` has it
            while runner.run(onlooker.fetchval(BLOCKED, STRICT_READER)) == 0:
                pass
            yield made
            runner.run(taken.rollback())
            if heard is not None:
                heard.append(made.ended() if until is None else made.said_until(until))
            for connection in (holder, onlooker):
                runner.run(connection.close())


@ways
@only_postgresql
def test_client__that_goes_before_its_answer__leaves_its_place(
    backend: str, databases: Databases, way: tuple[str, ...]
) -> None:
    with guarded(databases.fresh(backend), max_requests=2) as server:
        body = about("resolution", filled(server.api))
        missing = body.replace(b"-0", b"-7")  # which the application would have to tell
        with waiting(server.api, body, way=way, instead=missing) as made:
            assert request(server.api, JSON_BODY, body=body).refusal == (503, ["BUSY"])
            made.goes()
        while (answer := request(server.api, JSON_BODY, body=body)).status != 200:
            assert answer.refusal == (503, ["BUSY"])
        assert numbers(server.api)["townclerk_http_requests_in_flight"] == 1  # this one
        server.until_logged('"status": 499')


@ways
@only_postgresql
def test_server__that_is_asked_to_end__answers_what_waits(
    backend: str, databases: Databases, way: tuple[str, ...]
) -> None:
    with guarded(databases.fresh(backend), shutdown_seconds=20) as server:
        body = about("resolution", filled(server.api))
        heard: list[bytes] = []
        with waiting(server.api, body, heard, way):
            server.ask_to_end()
            server.until_logged("Shutting down")
        [answer] = heard
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"\r\nconnection: close\r\n" in answer


@only_postgresql
def test_connection__given_up_while_two_wait__takes_no_other_with_it(backend: str, databases: Databases) -> None:
    with guarded(databases.fresh(backend)) as server:
        body = about("resolution", filled(server.api))
        for _ in range(BEADS.lanes + 1):
            with waiting(server.api, body, way=PARSED) as made:
                made.send(head(JSON_BODY, CHUNKED, api=server.api), b"nonsense\r\n")
                assert made.ended().startswith(b"HTTP/1.1 400")
        warmed(server.api, body)


@only_postgresql
def test_requests__that_come_while_one_waits__are_answered_after_it(backend: str, databases: Databases) -> None:
    with guarded(databases.fresh(backend)) as server:
        api = server.api
        body = about("resolution", filled(api))
        warmed(api, body)
        another = head(f"Content-Length: {len(body)}", JSON_BODY, api=api) + body
        profiles = b'{"query": "{ profiles { name } }"}'
        stock = head(JSON_BODY, "X-Request-Id: stock", f"Content-Length: {len(profiles)}", api=api) + profiles
        last = head(JSON_BODY, "Connection: close", f"Content-Length: {len(body)}", api=api) + body
        heard: list[bytes] = []
        with waiting(api, body, heard) as made:
            made.send(another, stock[:30])
            made.send(stock[30:], last)
        answers = heard[0].split(b"HTTP/1.1 200 OK")[1:]
        assert [b'"resolution":' in answer for answer in answers] == [True, True, False, True]
        assert b"x-request-id: stock" in answers[2]


@ways
@only_postgresql
def test_handshake__sent_along_with_a_question__is_answered_after_it(
    backend: str, databases: Databases, way: tuple[str, ...]
) -> None:
    with guarded(databases.fresh(backend), stream_init_seconds=0.1) as server:
        body = about("resolution", filled(server.api))
        heard: list[bytes] = []
        with waiting(server.api, body, heard, way, until=b"HTTP/1.1 101 ") as made:
            made.send(head(*HANDSHAKE, method="GET", api=server.api.holding(None)))
        [answers] = heard
        assert answers.startswith(b"HTTP/1.1 200 ")
        assert b"}HTTP/1.1 101 " in answers
