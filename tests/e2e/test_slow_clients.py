"""Clients that do not read, and servers that end: every feed is left with the sequence from which it goes on."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any, Final

import pytest

from tests.client import Api, Json
from tests.databases import Databases
from tests.e2e.process import SECONDS, Server, serving_process
from tests.streams import AUDIT_FEED, SIGNALS, ClosedByServer, Socket, event_stream, followed, small_socket, talking
from tests.towns import make_town, sync

LARGE: Final = AUDIT_FEED.format("sequence " + " ".join(f"copy{number}: after" for number in range(40)))
ENTRIES: Final = 14  # of a megabyte each, as told
LIMITS: Final[dict[str, Any]] = {"max_query_aliases": 100}
BLOCKED: Final = "a client did not read"


@pytest.fixture(scope="module")
def server(backend: str, databases: Databases) -> Iterator[Server]:
    """A server that waits for nobody."""
    with serving_process(databases.fresh(backend), stream_send_seconds=0.2, **LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def town_id(server: Server) -> str:
    """A town with more to tell than any buffers on the way hold."""
    return large_town(server.api)


def large_town(api: Api) -> str:
    made = make_town(api, rigs=())
    for number in range(1, ENTRIES):
        beads = [{"beadId": f"{made}-{bead}", "title": f"{number} " + "x" * 900} for bead in range(25)]
        sync(api, made, *beads)
    return made


def test_socket__of_a_client_that_does_not_read__is_left_with_where_to_resume(server: Server, town_id: str) -> None:
    with closing(small_socket(server.api)) as connection:
        options: dict[str, Any] = {
            "sock": connection,
            "max_queue": 1,
            "compression": None,
            "ping_interval": None,
            "max_size": None,
        }
        with talking(server.api, headers={"X-Request-Id": "slow-socket"}, **options) as made:
            made.subscribe(LARGE, t=town_id)
            made.subscribe(SIGNALS, id="2", t=town_id)
            server.until_logged(BLOCKED, "slow-socket")
            *told, error, other = heard = until_closed(made, 1013)
    assert {message["type"] for message in told} == {"next"}
    had = [message["payload"]["data"]["auditFeed"]["sequence"] for message in told]
    assert had == list(range(1, len(had) + 1))
    assert len(heard) < ENTRIES
    assert [errors_of(message) for message in (error, other)] == [("RESUME", len(had)), ("RESUME", None)]
    assert resumed(server.api, town_id, len(had)) == list(range(len(had) + 1, ENTRIES + 1))


def test_events__of_a_client_that_does_not_read__end_with_where_to_resume(server: Server, town_id: str) -> None:
    with closing(small_socket(server.api)) as connection:
        connection.sendall(asking_for_events(town_id))
        server.until_logged(BLOCKED, "slow-events")
        received = b"".join(iter(lambda: connection.recv(1_000_000), b"")).decode()
    answers = [json.loads(line[6:]) for line in received.splitlines() if line.startswith("data: {")]
    *told, last = answers
    had = [answer["data"]["auditFeed"]["sequence"] for answer in told]
    assert had == list(range(1, len(had) + 1))
    assert len(answers) < ENTRIES
    assert errors_of({"type": "error", "payload": last["errors"]}) == ("RESUME", len(had))
    assert "event: complete" in received
    assert resumed(server.api, town_id, len(had)) == list(range(len(had) + 1, ENTRIES + 1))


def test_server__asked_to_end__leaves_each_feed_with_where_to_resume(backend: str, databases: Databases) -> None:
    with serving_process(databases.fresh(backend)) as server:
        query = AUDIT_FEED.format("sequence")
        with talking(server.api) as made, event_stream(server.api, query, t="demo", after=4) as events:
            made.subscribe(query, t="demo", after=2)
            made.subscribe(SIGNALS, id="2", t="demo")
            heard = [made.hear() for _ in range(4)]  # three entries and the open signal: all is under way
            assert sorted(message["id"] for message in heard) == ["1", "1", "1", "2"]
            while next(events)[0] != "next":
                pass
            assert server.stop() == 0
            first, other = sorted(until_closed(made, 1001), key=lambda message: str(message["id"]))
            assert [errors_of(first), errors_of(other)] == [("RESUME", 5), ("RESUME", None)]
            last, end = [event for event in events if event[0]]
            assert last[1] is not None
            assert errors_of({"type": "error", "payload": last[1]["errors"]}) == ("RESUME", 5)
            assert (last[0], end) == ("next", ("complete", None))


def test_server__asked_to_end_with_clients_that_do_not_read__ends(backend: str, databases: Databases) -> None:
    with serving_process(databases.fresh(backend), shutdown_seconds=1, **LIMITS) as server:
        town_id = large_town(server.api)
        with closing(small_socket(server.api)) as silent, closing(small_socket(server.api)) as connection:
            silent.sendall(asking_for_events(town_id))
            with talking(server.api, sock=connection, max_queue=1, compression=None, max_size=None) as made:
                made.subscribe(LARGE, t=town_id)
                begun = time.monotonic()
                assert server.stop() == 0
                assert time.monotonic() - begun < SECONDS
                made.connection.socket.close()


def asking_for_events(town_id: str) -> bytes:
    """The request for a stream of all there is."""
    body = json.dumps({"query": LARGE, "variables": {"t": town_id}})
    head = (
        "POST /graphql HTTP/1.1",
        "Host: localhost",
        "X-Request-Id: slow-events",
        "Content-Type: application/json",
        "Accept: text/event-stream",
        "Connection: close",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*head, "", body)).encode()


def until_closed(made: Socket, code: int) -> list[Json]:
    """All that is said until the server closes with `code`."""
    heard: list[Json] = []
    with pytest.raises(ClosedByServer) as closed:
        heard.extend(iter(made.hear, None))
    assert closed.value.code == code
    return heard


def errors_of(message: Json) -> tuple[str, int | None]:
    """The code of an error that ended a feed, and the sequence to resume from."""
    assert message["type"] == "error", message
    (error,) = message["payload"]
    return error["extensions"]["code"], error["extensions"].get("resumeFrom")


def resumed(api: Api, town_id: str, after: int) -> list[int]:
    """The rest of the town's entries."""
    with followed(api, town_id, after, over="events") as entries:
        return [entry["sequence"] for entry in islice(entries, ENTRIES - after)]
