"""Credentials that are for some towns: what the table of permissions does not show."""

from datetime import datetime
from typing import Final

import pytest

from models.domain.rules import DraftRule
from models.services.access import COMMAND_LINE, built_in
from models.services.heads import lock_town
from models.services.profiles import ProfileDraft
from models.services.rollout import ProfilePublication, publish_profile_version
from models.store.unit import Store, WriteUnit
from tests.chains import with_store
from tests.client import Api, Json
from tests.contract.operations import ask_for, recipe_of
from tests.contract.recipes import REASON, Recipe, followed_profile, profile_input, send, unique
from tests.permissions import ROWS
from tests.tokens import make_token
from tests.towns import HAIKU, KILO, make_town, sync
from tests.waiting import under_way

OF_TOWNS: Final = [recipe_of(row) for row in ROWS if row.root == "Mutation" and row.foreign]
KEYED: Final = [recipe for recipe in OF_TOWNS if recipe.takes_key]
_CALLER: Final = built_in(COMMAND_LINE, request_id="binding")


def editing(shut: Api, *town_ids: str, name: str = "someone") -> Api:
    """Townclerk as an editor has it, of some towns or of all."""
    return shut.holding(make_token(shut.url, "editor", towns=town_ids or None, name=name))


# ---- lists of towns

TOWNS: Final = """query ($first: Int, $after: String, $name: String) {
    towns(first: $first, after: $after, nameContains: $name) {
        edges { node { townId } } pageInfo { hasNextPage endCursor }
    }
}"""


@pytest.fixture(scope="module")
def street(dev: Api) -> list[str]:
    """Seven towns that no other is between, by id; every other one is somebody's."""
    stem = unique("street")
    town_ids = [f"{stem}-{number}" for number in range(7)]
    for town_id in town_ids:
        dev.done("createTown", townId=town_id, name=f"At {stem}")
    return town_ids


def pages(api: Api, first: int, name: str | None) -> list[tuple[list[str], bool]]:
    """The ids on each page, and whether it said that another follows."""
    found: list[tuple[list[str], bool]] = []
    after = None
    while not found or found[-1][1]:
        page = api.data(TOWNS, first=first, after=after, name=name)["towns"]
        found.append(([edge["node"]["townId"] for edge in page["edges"]], page["pageInfo"]["hasNextPage"]))
        after = page["pageInfo"]["endCursor"]
    return found


@pytest.mark.parametrize("name", [None, "at street"])
@pytest.mark.parametrize("first", [1, 2, 3, 4, 200])
def test_towns__of_a_credential_for_some__are_paged_as_if_there_were_no_others(
    shut: Api, street: list[str], first: int, name: str | None
) -> None:
    own = street[::2]
    starts = range(0, len(own), first)
    expected = [(own[start : start + first], start + first < len(own)) for start in starts]
    assert pages(editing(shut, *own), first, name) == expected


def test_towns__after_the_cursor_of_another_s_town__are_the_own_ones_beyond(shut: Api, street: list[str]) -> None:
    cursor = editing(shut).data(TOWNS, first=4, name="at street")["towns"]["pageInfo"]["endCursor"]
    found = editing(shut, *street[::2]).data(TOWNS, after=cursor, name="at street")["towns"]["edges"]
    assert [edge["node"]["townId"] for edge in found] == street[4::2]


# ---- counts over towns

COUNTS: Final = """query ($name: String!, $draft: ProfileDraft!) {
    profile(name: $name) { current { townsFollowing townsDue } version(number: 1) { townsFollowing townsDue } }
    previewProfileVersion(draft: $draft) { townsFollowing mayorsMoved }
}"""


def publish_without_rollout(url: str, name: str) -> None:
    """Publish a central profile's second version as a process does that is asked to end."""
    rules = (DraftRule(role=None, label=None, rig_id=None, model=KILO),)
    publication = ProfilePublication(
        draft=ProfileDraft(name=name, town_id=None, small_model=HAIKU, rules=rules),
        title=None,
        expected_version=1,
        reason=REASON,
    )

    async def work(store: Store) -> None:
        store.ending.set()
        await publish_profile_version(store, _CALLER, publication)

    with_store(url, work)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_counts__over_towns__are_of_the_credential_s(dev: Api, shut: Api, count: int) -> None:
    name, first = followed_profile(dev)
    following = [first, *(make_town(dev, rigs=(), profile=name) for _ in range(2))]
    elsewhere = make_town(dev, rigs=())
    publish_without_rollout(dev.url, name)
    draft = {field: profile_input(name, 2, mayor=HAIKU)[field] for field in ("name", "smallModel", "rules")}
    assert editing(shut, elsewhere, *following[:count]).data(COUNTS, name=name, draft=draft) == {
        "profile": {
            "current": {"townsFollowing": count, "townsDue": count},
            "version": {"townsFollowing": count, "townsDue": 0},
        },
        "previewProfileVersion": {"townsFollowing": count, "mayorsMoved": count},
    }


def test_counts__for_an_own_town_that_follows_nothing_of_it__are_zero(dev: Api, shut: Api) -> None:
    name, _ = followed_profile(dev)
    query = "query ($n: String!) { profile(name: $n) { current { townsFollowing } } }"
    found = editing(shut, make_town(dev, rigs=())).data(query, n=name)
    assert found == {"profile": {"current": {"townsFollowing": 0}}}


# ---- beads

RESOLUTIONS: Final = """query ($ids: [ID!]!) {
    resolutions(beadIds: $ids) { beadId resolution { townId } error { code message path } }
}"""


def not_found(bead_id: str, index: int, like: Json) -> Json:
    """What is said of a bead that is not there, `like` what was said of another."""
    message = like["error"]["message"].replace(like["beadId"], bead_id)
    error = {"code": "NOT_FOUND", "message": message, "path": ["beadIds", str(index)]}
    return {"beadId": bead_id, "resolution": None, "error": error}


def test_resolutions__of_own_foreign_and_missing_beads__are_those_of_own_ones(dev: Api, shut: Api) -> None:
    own, other = make_town(dev, rigs=()), make_town(dev, rigs=())
    mine, foreign, missing = unique("mine"), unique("foreign"), unique("missing")
    sync(dev, own, {"beadId": mine})
    sync(dev, other, {"beadId": foreign})
    ids = [foreign, mine, missing, mine, foreign]
    found = editing(shut, own).data(RESOLUTIONS, ids=ids)["resolutions"]
    resolved = {"beadId": mine, "resolution": {"townId": own}, "error": None}
    absent = found[2]
    assert found == [
        not_found(foreign, 0, absent),
        resolved,
        not_found(missing, 2, absent),
        resolved,
        not_found(foreign, 4, absent),
    ]


def test_sync__of_a_bead_that_another_s_town_has__says_so_and_moves_nothing(dev: Api, shut: Api) -> None:
    own, other, bead_id = make_town(dev, rigs=()), make_town(dev, rigs=()), unique("bead")
    sync(dev, other, {"beadId": bead_id, "title": "Theirs"})
    before = dev.entries(own), dev.entries(other)
    beads = [{"beadId": unique("bead")}, {"beadId": bead_id, "title": "Mine"}]
    refusals = editing(shut, own).refusals("syncBeads", townId=own, beads=beads)
    assert refusals == [("ALREADY_EXISTS", ["beads", "1", "beadId"])]
    query = "query ($id: ID!) { bead(beadId: $id) { title town { townId } } }"
    assert dev.data(query, id=bead_id)["bead"] == {"title": "Theirs", "town": {"townId": other}}
    assert (dev.entries(own), dev.entries(other)) == before


def test_revisions__below_beads_that_a_dispatcher_synced__are_refused_to_it(dev: Api, shut: Api) -> None:
    own, bead_id = make_town(dev, rigs=()), unique("bead")
    dispatcher = shut.holding(make_token(shut.url, "dispatcher", towns=[own]))
    query = """mutation ($input: SyncBeadsInput!) {
        syncBeads(input: $input) { beads { revisions { edges { cursor } } } }
    }"""
    answer = dispatcher.execute(query, input={"townId": own, "beads": [{"beadId": bead_id}]})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
    assert answer["data"] is None


# ---- idempotency keys


@pytest.mark.parametrize("recipe", KEYED, ids=str)
def test_key__of_a_change_of_a_town_that_may_not_be_changed_now__gives_what_a_missing_town_gives(
    dev: Api, shut: Api, recipe: Recipe
) -> None:
    call, principal = recipe.prepare(dev).with_input(idempotencyKey=unique("key")), unique("principal")
    assert send(editing(shut, name=principal), recipe.mutation, call)["userErrors"] == []
    elsewhere = editing(shut, make_town(dev, rigs=()), name=principal)
    never = call.town_id.replace("town", "t0wn")
    foreign = ask_for(elsewhere, recipe.mutation, call)
    missing = ask_for(elsewhere, recipe.mutation, call.with_input(townId=never, idempotencyKey=unique("key")))
    assert (foreign.verdict, foreign.renamed(call.town_id, never)) == ("NOT_FOUND", missing)


@pytest.mark.parametrize("recipe", KEYED, ids=str)
def test_key__used_by_another_principal__says_nothing_of_it(dev: Api, shut: Api, recipe: Recipe) -> None:
    call = recipe.prepare(dev).with_input(idempotencyKey=unique("key"))
    assert send(editing(shut, name=unique("principal")), recipe.mutation, call)["userErrors"] == []
    elsewhere = editing(shut, make_town(dev, rigs=()), name=unique("principal"))
    never = call.town_id.replace("town", "t0wn")
    foreign, missing = (ask_for(elsewhere, recipe.mutation, call.with_input(townId=it)) for it in (call.town_id, never))
    assert (foreign.verdict, foreign.renamed(call.town_id, never)) == ("NOT_FOUND", missing)


def test_key__of_a_change_of_an_own_town__is_replayed_to_another_token_of_the_principal(dev: Api, shut: Api) -> None:
    recipe, principal = KEYED[0], unique("principal")
    call = recipe.prepare(dev).with_input(idempotencyKey=unique("key"))
    first = send(editing(shut, name=principal), recipe.mutation, call, recipe.reply)
    assert send(editing(shut, call.town_id, name=principal), recipe.mutation, call, recipe.reply) == first
    assert dev.version(call.town_id) == 2


def test_key__of_two_people_that_one_client_acts_for__is_one_of_each(dev: Api, shut: Api) -> None:
    towns = [make_town(dev, rigs=()) for _ in range(2)]
    frontend = shut.holding(make_token(shut.url, "editor", may_act_for=True))
    key = unique("key")
    published: Json = {"expectedVersion": 1, "draft": {"honorBeadModels": True}, "reason": REASON}
    for person, town_id in zip(("ann", "ben"), towns, strict=True):
        headers = {"X-On-Behalf-Of": person}
        payload = frontend.change(
            "publishOverrideSet", "currentVersion", headers=headers, townId=town_id, idempotencyKey=key, **published
        )
        assert payload == {"currentVersion": 2, "userErrors": []}
    assert [dev.version(town_id) for town_id in towns] == [2, 2]


# ---- locks


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # on SQLite whoever writes waits for the one writer
@pytest.mark.parametrize("recipe", OF_TOWNS, ids=str)
def test_change__of_another_s_town_that_is_being_written__is_refused_without_waiting(
    dev: Api, shut: Api, recipe: Recipe
) -> None:
    call, own = recipe.prepare(dev), make_town(dev, rigs=())

    async def hold(unit: WriteUnit) -> datetime:
        return (await lock_town(unit, _CALLER, call.town_id)).instant

    with under_way(dev.url, hold):
        assert ask_for(editing(shut, own), recipe.mutation, call).verdict == "NOT_FOUND"


@pytest.mark.parametrize("recipe", OF_TOWNS, ids=str)
def test_change__that_its_scope_does_not_allow__is_refused_without_waiting(dev: Api, shut: Api, recipe: Recipe) -> None:
    call, reader = recipe.prepare(dev), shut.holding(make_token(shut.url, "reader"))

    async def hold(unit: WriteUnit) -> datetime:
        return (await lock_town(unit, _CALLER, call.town_id)).instant

    with under_way(dev.url, hold):
        assert ask_for(reader, recipe.mutation, call).verdict == "FORBIDDEN"
