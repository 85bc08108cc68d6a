"""Clients of streams: a conversation in graphql-transport-ws, and server-sent events. No wait is without an end."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx2
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.client import Api, Json

SECONDS: Final = 60
PROTOCOL: Final = "graphql-transport-ws"
AUDIT_FEED: Final = "subscription ($t: ID!, $after: Int) {{ auditFeed(townId: $t, after: $after) {{ {} }} }}"
SIGNALS: Final = """
subscription ($t: ID!) { mayorRestartSignals(townId: $t) { sequence cause closedAt closedBecause after { model } } }
"""


class ClosedByServer(Exception):  # noqa: N818  # what a test waits for is no error
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code


class Socket:
    """A conversation over a WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def hear(self) -> Json:
        """The next message. Raises `ClosedByServer`."""
        try:
            heard: Json = json.loads(self.connection.recv(timeout=SECONDS))
        except ConnectionClosed as closed:
            frame = closed.rcvd
            raise ClosedByServer(frame.code if frame else 1006, frame.reason if frame else "") from closed
        return heard

    def closed(self) -> int:
        """The code that the server closes with, after whatever it still has to say."""
        try:
            while True:
                self.hear()
        except ClosedByServer as closed:
            return closed.code

    def subscribe(self, query: str, *, id: str = "1", **variables: Any) -> None:  # noqa: A002  # the protocol's word
        self.say(id=id, type="subscribe", payload={"query": query, "variables": variables})

    def ask(self, query: str, *, id: str = "1", **variables: Any) -> list[Json]:  # noqa: A002
        """All that is answered to an operation that ends by itself."""
        self.subscribe(query, id=id, **variables)
        heard = [self.hear()]
        while heard[-1]["type"] == "next":
            heard.append(self.hear())
        assert {message["id"] for message in heard} == {id}
        return heard

    def events(self, field: str) -> Iterator[Json]:
        """What a feed tells, without an end; anything else that is heard fails."""
        while True:
            message = self.hear()
            assert message["type"] == "next", message
            yield message["payload"]["data"][field]


@contextmanager
def raw_socket(api: Api, *, headers: dict[str, str] | None = None, **options: Any) -> Iterator[Socket]:
    """A WebSocket before the first message; `options` are those of the library."""
    url = str(api.http.base_url).rstrip("/").replace("http://", "ws://") + "/graphql"
    given = {"subprotocols": [Subprotocol(PROTOCOL)], "proxy": None, "open_timeout": SECONDS, "max_queue": None}
    with connect(url, additional_headers={**api.credential, **(headers or {})}, **{**given, **options}) as connection:
        yield Socket(connection)


@contextmanager
def talking(api: Api, *, headers: dict[str, str] | None = None, **options: Any) -> Iterator[Socket]:
    """A WebSocket on which operations may begin."""
    with raw_socket(api, headers=headers, **options) as made:
        made.say(type="connection_init")
        assert made.hear() == {"type": "connection_ack"}
        yield made


@contextmanager
def event_stream(api: Api, query: str, **variables: Any) -> Iterator[Iterator[tuple[str, Json | None]]]:
    """Server-sent events (name, content) of one operation; a comment is one without a name."""
    headers = {"accept": "text/event-stream", **api.credential}
    body = {"query": query, "variables": variables}
    url = f"{str(api.http.base_url).rstrip('/')}/graphql"
    with httpx2.stream("POST", url, json=body, headers=headers, timeout=SECONDS, trust_env=False) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield _events(response)


def _events(response: httpx2.Response) -> Iterator[tuple[str, Json | None]]:
    name, content = "", ""
    for line in response.iter_lines():
        field, _, value = line.partition(":")
        if field == "event":
            name = value.strip()
        elif field == "data":
            content = value.strip()
        elif line == "":
            yield name, json.loads(content) if content else None
            name, content = "", ""


@contextmanager
def followed(
    api: Api, town_id: str, after: int = 0, *, over: str, fields: str = "sequence"
) -> Iterator[Iterator[Json]]:
    """The entries of a town beyond `after`, as they come, `over` a "socket" or "events"."""
    query = AUDIT_FEED.format(fields)
    if over == "socket":
        with talking(api) as made:
            made.subscribe(query, t=town_id, after=after)
            yield made.events("auditFeed")
    else:
        with event_stream(api, query, t=town_id, after=after) as events:
            yield (answer["data"]["auditFeed"] for name, answer in events if name == "next" and answer)


def small_socket(api: Api) -> socket.socket:
    """A TCP connection whose end here takes little before it is read."""
    url = httpx2.URL(str(api.http.base_url))
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    made.settimeout(SECONDS)
    made.connect((url.host, url.port))
    return made
