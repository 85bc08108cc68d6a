"""A running Townclerk, reached as its users reach it: over HTTP."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from starlette.testclient import TestClient
from starlette.types import Message, Scope

from api.app import create_app
from api.hatch import HATCH, Hatch, Reply
from api.settings import Settings
from models.store.unit import Clock, NewId, random_id, system_clock

Json = dict[str, Any]
JSON = {"content-type": "application/json"}
HERE = ("127.0.0.1", 50_000)  # where requests come from


class Api:
    """GraphQL over HTTP. What a test does not ask to see has to be right: `data` fails on any error."""

    def __init__(self, http: TestClient, url: str, authorization: str | None = None) -> None:
        self.http = http
        self.url = url
        self.credential = {} if authorization is None else {"authorization": authorization}

    def holding(self, token: str | None) -> Self:
        """The same Townclerk as whoever holds `token` has it, or as someone who says nothing."""
        return type(self)(self.http, self.url, None if token is None else f"Bearer {token}")

    def execute(self, query: str, /, *, headers: dict[str, str] | None = None, **variables: Any) -> Json:
        """The whole answer, `data` and `errors`."""
        body = json.dumps({"query": query, "variables": variables}, ensure_ascii=False, allow_nan=False)
        answer: Json = json.loads(self.post(body.encode("utf-8"), headers)[1])
        return answer

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of the answer to a request that has JSON for its body."""
        response = self.http.post("/graphql", content=body, headers={**JSON, **self.credential, **(headers or {})})
        return response.status_code, response.content

    def data(self, query: str, /, *, headers: dict[str, str] | None = None, **variables: Any) -> Json:
        """What was asked for; any GraphQL error fails the test."""
        answer = self.execute(query, headers=headers, **variables)
        assert "errors" not in answer, answer["errors"]
        found: Json = answer["data"]
        return found

    def codes(self, query: str, /, **variables: Any) -> list[str]:
        """The codes of the GraphQL errors that a query ends in."""
        return [error["extensions"]["code"] for error in self.execute(query, **variables).get("errors", [])]

    def change(self, mutation: str, fields: str, /, *, headers: dict[str, str] | None = None, **given: Any) -> Json:
        """The payload of `mutation` with `given` as its input."""
        kind = mutation[0].upper() + mutation[1:] + "Input"
        asked = f"{fields} userErrors {{ code path message }}"
        query = f"mutation ($input: {kind}!) {{ it: {mutation}(input: $input) {{ {asked} }} }}"
        payload: Json = self.data(query, headers=headers, input=given)["it"]
        return payload

    def done(self, mutation: str, fields: str = "__typename", /, **given: Any) -> Json:
        """The payload of a mutation that has to take effect."""
        payload = self.change(mutation, fields, **given)
        assert payload["userErrors"] == [], payload["userErrors"]
        return payload

    def refusals(self, mutation: str, /, **given: Any) -> list[tuple[str, list[str]]]:
        """(code, path) of each reason why a mutation is refused."""
        payload = self.change(mutation, "__typename", **given)
        return [(error["code"], error["path"]) for error in payload["userErrors"]]

    def version(self, town_id: str) -> int:
        found: int = self.data("query ($t: ID!) { town(townId: $t) { overrideSet { version } } }", t=town_id)["town"][
            "overrideSet"
        ]["version"]
        return found

    def entries(self, town_id: str | None, fields: str = "sequence action") -> list[Json]:
        """The newest 200 audit entries of a chain, newest first."""
        query = f"query ($t: ID) {{ auditEntries(townId: $t, first: 200) {{ edges {{ node {{ {fields} }} }} }} }}"
        return [edge["node"] for edge in self.data(query, t=town_id)["auditEntries"]["edges"]]


class NearApi(Api):
    """One in this process. A request crosses threads once, where the client of Starlette has it cross them eight times.

    That is for documents alone; `http` is Starlette's still. Of a stream of events it takes the first answer, and goes.
    """

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        assert self.http.portal is not None
        length = str(len(body))
        named = {
            **self.http.headers,
            "host": "localhost",
            "content-length": length,
            **JSON,
            **self.credential,
            **(headers or {}),
        }
        sent = [(name.lower().encode(), value.encode()) for name, value in named.items()]
        return self.http.portal.call(self._post, body, sent)

    async def _post(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": headers,
            "client": HERE,
            "server": ("localhost", 80),
            "state": self.http.app_state.copy(),
        }
        handed_out = await self._handed_out(scope, body)
        if handed_out is not None:
            return 200, handed_out
        asked = [{"type": "http.request", "body": body}]
        answered, status, answer = asyncio.Event(), 0, bytearray()

        async def receive() -> Message:
            if asked:
                return asked.pop()
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            body = message.get("body", b"")
            answer.extend(body)
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            if ended or body.startswith(b"event: next"):
                answered.set()

        try:
            await self.http.app(scope, receive, send)
        except Exception:  # which a server logs, once it has answered that something went wrong
            if not answered.is_set():
                raise
        return status, bytes(answer)

    async def _handed_out(self, scope: Scope, body: bytes) -> bytes | None:
        """What is answered at the hatch, as a server offers it each request first."""
        hatch: Hatch | None = self.http.app_state.get(HATCH)
        head = None if hatch is None else hatch.head_of(scope, len(body))
        if hatch is None or head is None:
            return None
        outcome: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

        def send(_lines: bytes, body: bytes) -> None:
            outcome.set_result(body)

        def pass_on(state: Mapping[str, Any]) -> None:
            scope["state"].update(state)
            outcome.set_result(None)

        state = hatch.offer(head, body, Reply(send, pass_on))
        if state is None:
            return await outcome
        scope["state"].update(state)
        return None


class SteppingClock:
    """A clock that a test sets; each look at it is a millisecond later than the one before."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = start

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


@contextmanager
def serving(
    url: str, *, clock: Clock = system_clock, new_id: NewId = random_id, dev: bool = True, **settings: Any
) -> Iterator[Api]:
    """The application over the database at `url`, with its lifespan, on the event loop that it is served on."""
    app = create_app(Settings(database_url=url, dev=dev, **settings), clock=clock, new_id=new_id)
    with TestClient(
        app,
        base_url="http://localhost",
        client=HERE,
        raise_server_exceptions=False,
        backend_options={"use_uvloop": True},
    ) as http:
        yield NearApi(http, url)
