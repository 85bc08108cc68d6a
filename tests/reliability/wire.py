"""Clients of servers that may be gone the next moment.

They post over the standard library's plain connections: many of them in one process must not be what is slow.
"""

import http.client
import json
from collections.abc import Mapping
from threading import Condition
from typing import Any, Final

from tests.client import Json
from tests.e2e.process import Server
from tests.sizes import SECONDS

STORAGE_UNAVAILABLE: Final = "STORAGE_UNAVAILABLE"


class NoAnswerError(Exception):
    """The server went away before it had answered: nobody knows whether it did what it was asked."""


class Hall:
    """The servers of one database, by their number; each may be replaced by another one at any time."""

    def __init__(self, *servers: Server) -> None:
        self._ports: list[int | None] = [port_of(server) for server in servers]
        self._changed = Condition()

    def __len__(self) -> int:
        return len(self._ports)

    def put(self, number: int, server: Server | None) -> None:
        """Say who serves as `number` from now on; nobody, as long as it is None."""
        with self._changed:
            self._ports[number] = None if server is None else port_of(server)
            self._changed.notify_all()

    def port(self, number: int) -> int:
        """Where `number` serves, waited for."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ports[number] is not None, SECONDS), "nobody serves"
            port = self._ports[number]
        assert port is not None
        return port


def port_of(server: Server) -> int:
    port = server.api.http.base_url.port
    assert port is not None
    return port


class Client:
    """One client, with a connection to one server at a time. It waits `seconds` for an answer.

    It goes by the name of `actor`, where servers believe that, and holds `token` where they do not.
    """

    def __init__(self, hall: Hall, actor: str, seconds: float = SECONDS, *, token: str | None = None) -> None:
        self._hall = hall
        self._headers = {"Content-Type": "application/json", "X-Actor": actor}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._seconds = seconds
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def ask(self, number: int, query: str, variables: Mapping[str, Any], request_id: str | None = None) -> Json:
        """The whole answer of server `number`, whatever its status. Raises `NoAnswerError`."""
        body = json.dumps({"query": query, "variables": variables})
        headers = self._headers if request_id is None else {**self._headers, "X-Request-Id": request_id}
        port = self._hall.port(number)
        connection = self._connections.get(port)
        if connection is None:
            connection = self._connections[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=self._seconds)
        try:
            connection.request("POST", "/graphql", body, headers)
            answer: Json = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise NoAnswerError from error
        return answer

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


def error_code(answer: Json) -> str | None:
    """The code of the first GraphQL error of an answer; None where there is none."""
    errors = answer.get("errors")
    return errors[0]["extensions"]["code"] if errors else None
