"""A change that is stored though its answer could not be read: whoever asked hears that, and not the contrary."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from models.services import rollout
from models.store.unit import Session, StorageUnavailableError, Store, WriteUnit
from tests.client import Api
from tests.contract.inputs import quiet
from tests.contract.recipes import profile_input
from tests.towns import KILO, make_town


def without_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database be away for every read, once something was written."""
    fetch, write = Store.fetch, Store.write
    written: list[bool] = []

    async def fetch_or_fail(store: Store, query: Callable[[Session], Awaitable[Any]]) -> Any:
        if written:
            raise StorageUnavailableError
        return await fetch(store, query)

    async def write_and_note(store: Store, work: Callable[[WriteUnit], Awaitable[Any]]) -> Any:
        done = await write(store, work)
        written.append(True)
        return done

    monkeypatch.setattr(Store, "fetch", fetch_or_fail)
    monkeypatch.setattr(Store, "write", write_and_note)


def done(api: Api, mutation: str) -> float:
    """How often a mutation took effect, by the numbers of the server."""
    lines = api.http.get("/metrics").text.splitlines()
    wanted = f'townclerk_mutations_total{{mutation="{mutation}",outcome="DONE"}} '
    return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


def test_mutation__whose_answer_can_not_be_read__says_that_it_is_stored(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = 'mutation { createTown(input: {townId: "stored", name: "Stored"}) { town { name } } }'
    with monkeypatch.context() as patch, quiet():
        without_reads(patch)
        (error,) = api.execute(query)["errors"]
    assert error["extensions"] == {"code": "STORAGE_UNAVAILABLE", "stored": True}
    assert api.data('{ town(townId: "stored") { name } }')["town"] == {"name": "Stored"}
    assert done(api, "createTown") == 1


def test_publish__whose_answer_can_not_be_read__says_that_it_is_stored(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    town_id = make_town(api, rigs=())
    query = """mutation ($input: SelectProfileInput!) {
        selectProfile(input: $input) { currentVersion overrideSet { version } changeDetection { mayorChanged } }
    }"""
    given = {"townId": town_id, "expectedVersion": 1, "reason": "Why not?", "profile": "frugal"}
    with monkeypatch.context() as patch, quiet():
        without_reads(patch)
        answer = api.execute(query, input=given)
    told = [error["extensions"] for error in answer["errors"]]
    assert told == [{"code": "STORAGE_UNAVAILABLE", "stored": True}] * 2
    assert answer["data"]["selectProfile"]["currentVersion"] == 2
    assert api.version(town_id) == 2


def test_publish__whose_rollout_loses_the_database__is_answered_and_finished_later(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.done("publishProfileVersion", **profile_input("tidal", 0))
    town_id = make_town(api, rigs=(), profile="tidal")

    async def fail(*_: object, **__: object) -> None:
        raise StorageUnavailableError

    with monkeypatch.context() as patch:
        patch.setattr(rollout, "roll_out", fail)
        payload = api.done(
            "publishProfileVersion", "currentVersion townsUpdated", **profile_input("tidal", 1, mayor=KILO)
        )
    assert payload == {"currentVersion": 2, "townsUpdated": 0, "userErrors": []}
    api.done("publishProfileVersion", **profile_input("tidal", 2))
    query = "query ($t: ID!) { town(townId: $t) { overrideSet { profileVersion { version } } } }"
    assert api.data(query, t=town_id)["town"]["overrideSet"]["profileVersion"] == {"version": 3}
