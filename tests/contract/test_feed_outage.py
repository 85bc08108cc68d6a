"""A feed whose database goes away in the middle: its client hears from where to go on."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from models.store.queries import feeds
from models.store.unit import Session, StorageUnavailableError, Store
from tests.client import Api, Json
from tests.streams import AUDIT_FEED, SIGNALS
from tests.towns import make_town
from tests.writing import writing

ENTRIES = 250  # three pages

Fetch = Callable[[Store, Callable[[Session], Awaitable[Any]]], Awaitable[Any]]


def told(api: Api, query: str, **variables: Any) -> list[Json]:
    """All answers of a subscription that ends by itself."""
    body = {"query": query, "variables": variables}
    response = api.http.post("/graphql", json=body, headers={"accept": "text/event-stream"})
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]


def takes_away(monkeypatch: pytest.MonkeyPatch, is_last: Callable[[Any], bool]) -> None:
    """Let the database be away from the first query on that `is_last`."""

    def failing(fetch: Fetch) -> Fetch:
        async def fetch_or_fail(store: Store, query: Callable[[Session], Awaitable[Any]]) -> Any:
            if is_last(query):
                raise StorageUnavailableError
            return await fetch(store, query)

        return fetch_or_fail

    monkeypatch.setattr(Store, "fetch", failing(Store.fetch))
    monkeypatch.setattr(Store, "search", failing(Store.search))


def test_audit_feed__whose_database_goes_away__ends_with_the_last_sequence_given_out(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    town_id = make_town(api, rigs=())
    with writing(api.url) as writer:
        writer.write(town_id, ENTRIES)
    query = AUDIT_FEED.format("sequence")
    with monkeypatch.context() as patch:
        takes_away(
            patch,
            lambda query: (
                isinstance(query, partial) and query.func is feeds.entries_after and query.keywords["after"] > 0
            ),
        )
        *entries, end = told(api, query, t=town_id)
    had = [entry["data"]["auditFeed"]["sequence"] for entry in entries]
    assert had == list(range(1, len(had) + 1))
    assert 0 < len(had) < ENTRIES
    (error,) = end["errors"]
    assert error["extensions"] == {"code": "RESUME", "resumeFrom": len(had)}


def test_signals__whose_database_goes_away__end_with_a_word_to_subscribe_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    town_id = make_town(api, rigs=())
    with monkeypatch.context() as patch:
        takes_away(patch, lambda query: getattr(query, "__qualname__", "").startswith("_signals."))
        (end,) = told(api, SIGNALS, t=town_id)
    assert [error["extensions"]["code"] for error in end["errors"]] == ["RESUME"]
