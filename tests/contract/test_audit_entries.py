"""Audit entries: one for each change, none for a refusal, and a chain that can be recomputed from what is stored."""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise

import asyncpg
import pytest
from sqlalchemy import make_url

from tests.client import Api, Json
from tests.contract.inputs import problems_of
from tests.contract.recipes import RECIPES, Call, Recipe, codes, mutations, send, unique
from tests.towns import HAIKU, OPUS, SONNET, make_town, publish, rule, sync

CENTRAL = "@central"
ALL_FIELDS = """id townId sequence occurredAt actor { actorId } action targetType targetId versionBefore versionAfter
    reason requestId before after previousHash hash"""

every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=str)


def stored(url: str, chain: str) -> list[tuple[int, bytes, str]]:
    """Sequence, canonical bytes and hash of each entry of a chain, from the database itself."""
    columns = "SELECT sequence, canonical, hash FROM audit_entries WHERE chain = "
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(make_url(url).database or "")) as connection:
            return connection.execute(f"{columns} ? ORDER BY sequence", (chain,)).fetchall()

    async def read() -> list[tuple[int, bytes, str]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(f"{columns} $1 ORDER BY sequence", chain)]
        finally:
            await connection.close()

    return asyncio.run(read())


LOOK = """query ($t: ID!) {
    town(townId: $t) { auditEntries(first: 5) { edges { node { sequence action requestId actor { displayName } } } } }
    auditEntries(first: 5) { edges { node { sequence action requestId actor { displayName } } } }
}"""


def last_entries(api: Api, town_id: str) -> tuple[list[Json], list[Json]]:
    """The last entries of the town's chain and of the central one, oldest first; none where there is no such town."""
    found = api.data(LOOK, t=town_id)
    town = found["town"] or {"auditEntries": {"edges": []}}
    in_town, centrally = ([edge["node"] for edge in chain["auditEntries"]["edges"]][::-1] for chain in (town, found))
    return in_town, centrally


def actions(entries: Sequence[Json]) -> tuple[str, ...]:
    return tuple(entry["action"] for entry in entries)


def test_recipes__against_the_schema__cover_every_mutation(shared_api: Api) -> None:
    assert {recipe.mutation for recipe in RECIPES} == set(mutations(shared_api))


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_mutation__refused_then_done_then_sent_again__leaves_the_entries_of_the_one_change(
    shared_api: Api, recipe: Recipe
) -> None:
    call = recipe.prepare(shared_api)
    before = last_entries(shared_api, call.town_id)
    attempts = (call.with_input(**recipe.spoilt), call, call)
    requests = [{"X-Actor": "clerk", "X-Request-Id": unique("request")} for _ in attempts]
    answers = [
        codes(send(shared_api, recipe.mutation, attempt, recipe.reply, headers))
        for attempt, headers in zip(attempts, requests, strict=True)
    ]
    assert (answers[0] != [], answers[1]) == (True, [])
    added = [
        [entry for entry in now if entry["sequence"] > (then[-1]["sequence"] if then else 0)]
        for now, then in zip(last_entries(shared_api, call.town_id), before, strict=True)
    ]
    assert (actions(added[0]), actions(added[1])) == (recipe.town, recipe.central)
    accounts = {(entry["requestId"], entry["actor"]["displayName"]) for entry in (*added[0], *added[1])}
    assert accounts == {(requests[1]["X-Request-Id"], "clerk")}


@pytest.mark.parametrize("mutation", ["syncBeads", "detectMayorChange", "registerModels"])
def test_mutation__whose_repetition_is_harmless__is_not_refused(shared_api: Api, mutation: str) -> None:
    recipe = next(recipe for recipe in RECIPES if recipe.mutation == mutation)
    call = recipe.prepare(shared_api)
    assert [codes(send(shared_api, mutation, call)) for _ in range(2)] == [[], []]


@pytest.fixture(scope="module")
def eventful(shared_api: Api) -> str:
    """A town with seven entries by two actors; no test adds to it."""
    town_id = make_town(shared_api, rigs=("web",))
    ben = {"X-Actor": "ben", "X-Request-Id": "request-of-ben"}
    sync(shared_api, town_id, {"beadId": unique("bead"), "title": "Ärger — 100 % \u2603"})
    publish(shared_api, town_id, overrides=[rule(SONNET, "MAYOR")])
    select = {"townId": town_id, "expectedVersion": 2, "profile": "frugal", "reason": "Ben's “reason”"}
    shared_api.done("selectProfile", "__typename", headers=ben, **select)
    pair = {"model": OPUS, "smallModel": HAIKU}
    shared_api.done("detectMayorChange", "__typename", headers=ben, townId=town_id, observed=pair)
    shared_api.done("removeRig", townId=town_id, rigId="web")
    return town_id


def assert_is_a_chain(entries: Sequence[tuple[int, bytes, str]], shown: Sequence[Json]) -> None:
    """That the stored entries follow from each other, and that the API shows what is stored."""
    assert [sequence for sequence, _, _ in entries] == list(range(1, len(entries) + 1))
    previous = "0" * 64
    for (sequence, canonical, stored_hash), entry in zip(entries, shown, strict=True):
        record = json.loads(canonical)
        tagged = b"townclerk-audit-v1\n" + bytes.fromhex(previous) + canonical
        assert hashlib.sha256(tagged).hexdigest() == stored_hash
        assert (record["sequence"], record["previousHash"]) == (sequence, previous)
        told = ("sequence", "occurredAt", "action", "targetType", "targetId", "reason", "requestId")
        same = (*told, "versionBefore", "versionAfter", "before", "after")
        assert {name: entry[name] for name in same} == {name: record[name] for name in same}
        assert (entry["hash"], entry["previousHash"]) == (stored_hash, previous)
        assert entry["actor"]["actorId"] == record["actor"]
        previous = stored_hash


def test_chain__of_a_town__can_be_recomputed_from_the_stored_bytes(shared_api: Api, eventful: str) -> None:
    shown = shared_api.entries(eventful, ALL_FIELDS)[::-1]
    assert_is_a_chain(stored(shared_api.url, eventful), shown)
    assert {entry["townId"] for entry in shown} == {eventful}


def test_chain__of_what_is_central__can_be_recomputed_from_the_stored_bytes(shared_api: Api) -> None:
    shown = shared_api.entries(None, ALL_FIELDS)[::-1]
    entries = stored(shared_api.url, CENTRAL)[: len(shown)]
    assert len(shown) >= 4, "the catalogue and the shipped profiles are on the record"
    assert_is_a_chain(entries, shown)
    assert {entry["townId"] for entry in shown} == {None}


def test_chain__canonical_bytes__are_sorted_compact_json(shared_api: Api, eventful: str) -> None:
    for _, canonical, _ in stored(shared_api.url, eventful):
        plain = json.dumps(json.loads(canonical), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert plain.encode("utf-8") == canonical


def test_chain__instants__are_strictly_increasing(shared_api: Api, eventful: str) -> None:
    instants = [entry["occurredAt"] for entry in shared_api.entries(eventful, "occurredAt")[::-1]]
    assert all(before < after for before, after in pairwise(instants))


def test_head__of_a_chain__is_its_last_entry(shared_api: Api, eventful: str) -> None:
    query = "query ($t: ID) { auditHead(townId: $t) { townId sequence hash } }"
    for town_id in (eventful, None):
        last = shared_api.entries(town_id, "townId sequence hash")[0]
        assert shared_api.data(query, t=town_id)["auditHead"] == last


def test_entries__of_the_town_field__are_those_of_the_query(shared_api: Api, eventful: str) -> None:
    query = "query ($t: ID!) { town(townId: $t) { auditEntries(first: 200) { edges { node { id hash } } } } }"
    edges = shared_api.data(query, t=eventful)["town"]["auditEntries"]["edges"]
    assert [edge["node"] for edge in edges] == shared_api.entries(eventful, "id hash")


def test_entries__newest_first__tell_each_change_of_the_town(shared_api: Api, eventful: str) -> None:
    found = shared_api.entries(eventful, "action targetType targetId reason")
    assert [tuple(entry.values()) for entry in found] == [
        ("RIG_REMOVED", "rig", "web", None),
        ("MAYOR_OBSERVED", "mayor", eventful, None),
        ("PROFILE_SELECTED", "override_set", "3", "Ben's “reason”"),
        ("OVERRIDE_SET_PUBLISHED", "override_set", "2", "A test says so."),
        ("BEADS_SYNCED", "beads", eventful, None),
        ("RIG_REGISTERED", "rig", "web", None),
        ("TOWN_CREATED", "town", eventful, None),
    ]


BEN = "in place of ben's id, which is made while the tests run"
FILTERS: dict[str, tuple[Json, list[int]]] = {
    "nothing": ({}, [7, 6, 5, 4, 3, 2, 1]),
    "actions": ({"actions": ["RIG_REMOVED", "RIG_REGISTERED"]}, [7, 2]),
    "no_action": ({"actions": []}, []),
    "actor": ({"actorIds": [BEN]}, [6, 5]),
    "actors": ({"actorIds": [BEN, "dev", "nobody"]}, [7, 6, 5, 4, 3, 2, 1]),
    "nobody": ({"actorIds": ["nobody"]}, []),
    "target_type": ({"targetType": "override_set"}, [5, 4]),
    "target": ({"targetType": "override_set", "targetId": "3"}, [5]),
    "target_id": ({"targetId": "web"}, [7, 2]),
    "no_type": ({"targetType": "nothing"}, []),
    "no_target": ({"targetId": "nowhere"}, []),
    "no_request": ({"requestId": "none"}, []),
    "type_of_other_actions": ({"targetType": "rig", "actions": ["TOWN_CREATED"]}, []),
    "request": ({"requestId": "request-of-ben"}, [6, 5]),
    "combined": ({"requestId": "request-of-ben", "actions": ["MAYOR_OBSERVED", "RIG_REMOVED"]}, [6]),
}


@pytest.mark.parametrize(("narrowed", "expected"), FILTERS.values(), ids=FILTERS)
def test_filter__of_entries__narrows_to_those_that_meet_all_of_it(
    shared_api: Api, eventful: str, narrowed: Json, expected: list[int]
) -> None:
    (ben,) = {actor["actorId"] for actor in actors_of(shared_api, eventful) if actor["displayName"] == "ben"}
    if "actorIds" in narrowed:
        narrowed = {"actorIds": [ben if actor_id == BEN else actor_id for actor_id in narrowed["actorIds"]]}
    assert filtered(shared_api, eventful, narrowed) == expected


def actors_of(api: Api, town_id: str) -> list[Json]:
    return [entry["actor"] for entry in api.entries(town_id, "actor { actorId displayName }")]


def filtered(api: Api, town_id: str, narrowed: Json) -> list[int]:
    query = """query ($t: ID!, $f: AuditFilter) {
        auditEntries(townId: $t, filter: $f, first: 200) { edges { node { sequence } } }
    }"""
    return [edge["node"]["sequence"] for edge in api.data(query, t=town_id, f=narrowed)["auditEntries"]["edges"]]


def test_filter__since_and_until__take_in_the_first_instant_and_leave_out_the_last(
    shared_api: Api, eventful: str
) -> None:
    instants = {entry["sequence"]: entry["occurredAt"] for entry in shared_api.entries(eventful, "sequence occurredAt")}
    assert filtered(shared_api, eventful, {"since": instants[3]}) == [7, 6, 5, 4, 3]
    assert filtered(shared_api, eventful, {"until": instants[3]}) == [2, 1]
    assert filtered(shared_api, eventful, {"since": instants[3], "until": instants[5]}) == [4, 3]
    assert filtered(shared_api, eventful, {"since": instants[3], "until": instants[3]}) == []


@pytest.mark.parametrize(
    ("narrowed", "problem"),
    [
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T23:59:59.999999Z"}, ["filter", "since"]),
        ({"since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:30:00+01:00"}, ["filter", "since"]),
    ],
    ids=["by a moment", "by their zones"],
)
def test_filter__since_later_than_until__is_refused(shared_api: Api, narrowed: Json, problem: list[str]) -> None:
    query = "query ($f: AuditFilter) { auditEntries(filter: $f) { edges { cursor } } }"
    assert problems_of(shared_api.execute(query, f=narrowed)) == [("INVALID_INPUT", problem)]


@pytest.mark.parametrize("field", ["since", "until"])
@pytest.mark.parametrize("instant", ["2026-01-01T00:00:00", "2026-01-01T00:00", "2026-01-01", "yesterday", ""])
def test_filter__an_instant_without_a_zone__is_an_error_that_says_so(shared_api: Api, field: str, instant: str) -> None:
    variable = "query ($i: DateTime!) { auditEntries(filter: {%s: $i}) { edges { cursor } } }"
    literal = "{ auditEntries(filter: {%s: %s}) { edges { cursor } } }"
    answers = (
        shared_api.execute(variable % field, i=instant),
        shared_api.execute(literal % (field, json.dumps(instant))),
    )
    for answer in answers:
        assert [code for code, _ in problems_of(answer)] == ["INVALID_INPUT"]
        assert "time zone" in answer["errors"][0]["message"]


def test_entries__of_another_town__are_not_shown(shared_api: Api, eventful: str) -> None:
    other = make_town(shared_api, rigs=())
    assert actions(shared_api.entries(other)) == ("TOWN_CREATED",)
    assert "RIG_REMOVED" in actions(shared_api.entries(eventful))


def test_entries__of_an_unknown_town__are_not_found(shared_api: Api) -> None:
    for town_id in ("nowhere", CENTRAL):
        query = "query ($t: ID) { auditEntries(townId: $t) { edges { cursor } } auditHead(townId: $t) { hash } }"
        assert set(shared_api.codes(query, t=town_id)) == {"NOT_FOUND"}


def test_sync_entry__of_a_batch__tells_only_of_the_beads_that_changed(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    same, retitled, relabelled, fresh = (unique("bead") for _ in range(4))
    sync(shared_api, town_id, {"beadId": same}, {"beadId": retitled}, {"beadId": relabelled})
    sync(
        shared_api,
        town_id,
        {"beadId": same},
        {"beadId": retitled, "title": "New title"},
        {"beadId": relabelled, "labels": ["gt:rework"]},
        {"beadId": fresh},
    )
    entry = shared_api.entries(town_id, "action before after")[0]
    assert set(entry["after"]) == {retitled, relabelled, fresh}
    assert (entry["before"][relabelled]["labels"], entry["after"][relabelled]["labels"]) == ([], ["gt:rework"])
    assert (entry["before"][retitled]["title"], entry["after"][retitled]["title"]) == ("", "New title")
    assert entry["before"][fresh] is None


def test_observation_entry__of_a_pair_seen_before_the_last__is_written(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    for model in (OPUS, SONNET, SONNET, OPUS):
        pair = {"model": model, "smallModel": HAIKU}
        shared_api.done("detectMayorChange", townId=town_id, observed=pair)
    assert actions(shared_api.entries(town_id)) == ("MAYOR_OBSERVED",) * 3 + ("TOWN_CREATED",)


def test_publish_entry__before_and_after__are_the_two_contents(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    publish(shared_api, town_id, overrides=[rule(SONNET, "MAYOR")])
    query = """query ($t: ID!) { town(townId: $t) {
        auditEntries(first: 1) { edges { node { before after } } }
        overrideSets { edges { node { contentHash } } }
    } }"""
    town = shared_api.data(query, t=town_id)["town"]
    entry = town["auditEntries"]["edges"][0]["node"]
    hashes = [edge["node"]["contentHash"] for edge in town["overrideSets"]["edges"]]
    assert [entry["after"]["contentHash"], entry["before"]["contentHash"]] == hashes
    assert (entry["before"]["overrides"], entry["after"]["overrides"]) == ({}, {"mayor": SONNET})


def test_two_mutations__in_one_request__leave_an_entry_each(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    query = """mutation ($t: ID!) {
        web: registerRig(input: {townId: $t, rigId: "web", name: "Web"}) { userErrors { code } }
        again: registerRig(input: {townId: $t, rigId: "web", name: "Web"}) { userErrors { code } }
        api: registerRig(input: {townId: $t, rigId: "api", name: "API"}) { userErrors { code } }
    }"""
    answer = shared_api.data(query, t=town_id)
    assert [codes(answer[name]) for name in ("web", "again", "api")] == [[], ["ALREADY_EXISTS"], []]
    found = shared_api.entries(town_id, "action targetId requestId")
    assert [entry["targetId"] for entry in found] == ["api", "web", town_id]
    assert found[0]["requestId"] == found[1]["requestId"]


def test_registration_entry__of_models__tells_only_of_the_new_ones(shared_api: Api) -> None:
    model = unique("some/model")
    models = Call(town_id="", arguments={"models": [{"modelId": OPUS}, {"modelId": model}]})
    assert codes(send(shared_api, "registerModels", models)) == []
    assert set(shared_api.entries(None, "after")[0]["after"]) == {model}
