"""A running Townclerk, reached as its users reach it: over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from models.store.unit import Clock, NewId, random_id, system_clock

Json = dict[str, Any]


class Api:
    """GraphQL over HTTP. What a test does not ask to see has to be right: `data` fails on any error."""

    def __init__(self, http: TestClient, url: str) -> None:
        self.http = http
        self.url = url

    def execute(self, query: str, /, *, headers: dict[str, str] | None = None, **variables: Any) -> Json:
        """The whole answer, `data` and `errors`."""
        response = self.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        answer: Json = response.json()
        return answer

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
    """The application over the database at `url`, with its lifespan."""
    app = create_app(Settings(database_url=url, dev=dev, **settings), clock=clock, new_id=new_id)
    with TestClient(app, raise_server_exceptions=False) as http:
        yield Api(http, url)
