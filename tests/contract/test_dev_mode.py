"""In dev mode nobody is asked who they are, so that whoever asks has to have meant this machine, by its name."""

import json
from collections.abc import Sequence
from typing import Final

import pytest
from starlette.testclient import WebSocketDenialResponse

from tests.client import Api

ELSEWHERE: Final = [
    "attacker.example",
    "attacker.example:8000",
    "localhost.attacker.example",
    "127.0.0.1.nip.io",
    "",
    " ",
    "localhost@evil",
    "localhost:80@evil.example",
    "evil@localhost",
    "localhost/evil",
    "evil/localhost",
    "evil?localhost",
    "evil#localhost",
    "localhost.",
    "0.0.0.0",  # noqa: S104  # which nothing is bound to here
    "[::]",
    "[",
    "[::1",
    "[::1]evil",
    "[::1].evil.example",
    "[localhost]",
    "localhost:8000.evil.example",
    "localhost:80:evil",
    "localhost:",
    "localhost:x",
    "[::1%25eth0]evil",
    "2130706433",
    "127.1",
    "192.168.0.1",
    "[fe80::1]",
    "localhost, attacker.example",
    "localhost attacker.example",
    "xn--lcalhost-54a",
]
THIS_MACHINE: Final = [
    "localhost",
    "localhost:8000",
    "LOCALHOST",
    "127.0.0.1",
    "127.0.0.1:65535",
    "[::1]",
    "[::1]:8000",
]
ASKED: Final[dict[str, tuple[str, str]]] = {
    "POST": ("POST", "/graphql"),
    "GET": ("GET", "/graphql"),
    "an export": ("GET", "/audit/export"),
    "metrics": ("GET", "/metrics"),
    "alive": ("GET", "/healthz"),
    "ready": ("GET", "/readyz"),
    "no path": ("GET", "/nowhere"),
    "a preflight": ("OPTIONS", "/graphql"),
}
BODY: Final = {"query": "{ labels { name } }"}


def statuses(api: Api, hosts: Sequence[str], method: str, path: str) -> set[tuple[int, str | None]]:
    """Status and code of a request to each host."""
    found = set()
    for host in hosts:
        response = api.http.request(method, path, json=BODY if method == "POST" else None, headers={"host": host})
        code = None if response.is_success else response.json()["errors"][0]["extensions"]["code"]
        found.add((response.status_code, code))
    return found


@pytest.mark.parametrize("asked", ASKED)
def test_request__to_a_host_of_another_name__is_forbidden(shared_api: Api, asked: str) -> None:
    assert statuses(shared_api, ELSEWHERE, *ASKED[asked]) == {(403, "FORBIDDEN")}


@pytest.mark.parametrize("host", ELSEWHERE)
def test_socket__to_a_host_of_another_name__is_forbidden(shared_api: Api, host: str) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        shared_api.http.websocket_connect("/graphql", headers={"host": host}, subprotocols=["graphql-transport-ws"]),
    ):
        pass
    assert denied.value.status_code == 403
    assert json.loads(denied.value.content)["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("asked", ["POST", "an export", "metrics", "alive", "ready"])
def test_request__to_this_machine__is_answered(shared_api: Api, asked: str) -> None:
    assert statuses(shared_api, THIS_MACHINE, *ASKED[asked]) == {(200, None)}


@pytest.mark.parametrize("host", THIS_MACHINE)
def test_socket__to_this_machine__is_let_in(shared_api: Api, host: str) -> None:
    headers = {"host": host}
    with shared_api.http.websocket_connect("/graphql", headers=headers, subprotocols=["graphql-transport-ws"]) as made:
        made.send_json({"type": "connection_init"})
        assert made.receive_json() == {"type": "connection_ack"}
