"""`townclerk token`: made once, listed without secrets, revoked; each time with an entry."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from models.domain.tokens import read_token
from tests.client import Json, serving
from tests.databases import Databases
from tests.e2e.process import Finished, townclerk
from tests.tampering import faults
from tests.towns import make_town


@pytest.fixture(scope="module")
def url(backend: str, databases: Databases) -> str:
    return databases.fresh(backend)


@pytest.fixture(scope="module")
def town_id(url: str) -> str:
    with serving(url) as api:
        return make_town(api, rigs=())


def create(url: str, *arguments: str) -> Json:
    done = townclerk(url, "token", "create", "--json", *arguments)
    assert (done.code, done.err) == (0, "")
    made: Json = json.loads(done.out)
    return made


def listed(url: str) -> dict[str, Json]:
    done = townclerk(url, "token", "list", "--json")
    assert done.code == 0
    return {each["tokenId"]: each for each in map(json.loads, done.out.splitlines())}


def entries(url: str, token_id: str) -> list[Json]:
    with serving(url) as api:
        fields = "action targetType targetId reason before after actor { actorId }"
        return [entry for entry in api.entries(None, fields) if entry["targetId"] == token_id]


def assert_could_not(done: Finished) -> None:
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("townclerk: ")
    assert done.err.count("\n") == 1


def test_token__made_for_all_towns__is_listed_without_its_secret(url: str) -> None:
    made = create(url, "--name", "Dispatcher", "--scope", "dispatcher", "--scope", "reader", "--scope", "reader")
    token = read_token(made["token"])
    assert token is not None
    assert token.token_id == made["tokenId"]
    shown = listed(url)[made["tokenId"]]
    assert shown.pop("actorId").startswith("act_")
    assert datetime.now(UTC) - datetime.fromisoformat(shown.pop("createdAt")) < timedelta(hours=1)
    assert shown == {
        "tokenId": made["tokenId"],
        "name": "Dispatcher",
        "scopes": ["dispatcher", "reader"],
        "towns": None,
        "mayActFor": False,
        "state": "VALID",
        "expiresAt": None,
        "revokedAt": None,
        "lastUsedAt": None,
    }
    assert token.secret not in townclerk(url, "token", "list").out


def test_token__made_for_a_town__is_told_of_by_an_entry_with_all_but_its_secret(url: str, town_id: str) -> None:
    later = "2100-01-01T01:00:00+01:00"
    arguments = ("--scope", "editor", "--town", town_id, "--may-act-for", "--expires", later)
    made = create(url, "--name", "Frontend", *arguments)
    token = read_token(made["token"])
    assert token is not None
    (entry,) = entries(url, made["tokenId"])
    assert entry.pop("after") == {
        "actor": listed(url)[made["tokenId"]]["actorId"],
        "scopes": ["editor"],
        "towns": [town_id],
        "mayActFor": True,
        "secretHash": token.secret_hash,
        "expiresAt": "2100-01-01T00:00:00.000000Z",
        "revoked": False,
    }
    assert entry == {
        "action": "TOKEN_CREATED",
        "targetType": "token",
        "targetId": made["tokenId"],
        "reason": None,
        "before": None,
        "actor": {"actorId": "cli"},
    }
    assert faults(url) == {}


def test_token__revoked_twice__is_revoked_once(url: str) -> None:
    made = create(url, "--name", "Short-lived", "--scope", "auditor")
    done = townclerk(url, "token", "revoke", made["tokenId"], "--reason", "Lost.", "--json")
    assert (done.code, json.loads(done.out)) == (0, {"tokenId": made["tokenId"], "outcome": "REVOKED"})
    again = townclerk(url, "token", "revoke", made["tokenId"], "--json")
    assert (again.code, json.loads(again.out)) == (1, {"tokenId": made["tokenId"], "outcome": "ALREADY_REVOKED"})
    assert listed(url)[made["tokenId"]]["state"] == "REVOKED"
    revoked, created = entries(url, made["tokenId"])
    assert (revoked["action"], revoked["reason"]) == ("TOKEN_REVOKED", "Lost.")
    assert (revoked["before"], revoked["after"]) == (created["after"], {**created["after"], "revoked": True})
    assert faults(url) == {}


def test_tokens__of_one_name__have_one_actor(url: str) -> None:
    one, other = (create(url, "--name", "Twins", "--scope", "reader") for _ in range(2))
    assert one["token"] != other["token"]
    found = listed(url)
    assert found[one["tokenId"]]["actorId"] == found[other["tokenId"]]["actorId"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--scope", "reader"),
        ("create", "--name", "N"),
        ("create", "--name", " ", "--scope", "reader"),
        ("create", "--name", "N", "--scope", "owner"),
        ("create", "--name", "dev", "--scope", "reader"),
        ("create", "--name", "Command line", "--scope", "reader"),
        ("create", "--name", "N", "--scope", "reader", "--town", "nowhere"),
        ("create", "--name", "N", "--scope", "reader", "--town", ""),
        ("create", "--name", "N", "--scope", "reader", "--expires", "tomorrow"),
        ("create", "--name", "N", "--scope", "reader", "--expires", "2100-01-01T00:00:00"),
        ("create", "--name", "N", "--scope", "reader", "--expires", "2020-01-01T00:00:00Z"),
        ("revoke", "nobody"),
        ("revoke", "\udcff"),
        ("revoke", "nobody", "--reason", "x" * 501),
    ],
)
def test_token__asked_for_what_can_not_be__could_not_be_done_and_leaves_nothing(
    url: str, arguments: tuple[str, ...]
) -> None:
    before = listed(url)
    assert_could_not(townclerk(url, "token", *arguments))
    assert listed(url) == before
