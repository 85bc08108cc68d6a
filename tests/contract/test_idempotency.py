"""Idempotency keys: a request that is sent again takes effect once, and is answered as the first time."""

from collections.abc import Callable
from functools import partial
from typing import Final

import pytest

from tests.client import Api, Json, serving
from tests.contract.recipes import (
    RECIPES,
    Call,
    Recipe,
    at_once,
    chain_lengths,
    codes,
    followed_profile,
    mutations,
    profile_input,
    send,
    unique,
)
from tests.towns import HAIKU, SONNET, make_town, rule

KEYED: Final = tuple({recipe.mutation: recipe for recipe in RECIPES if recipe.takes_key}.values())  # one for each
FLAG: Final[Json] = {"honorBeadModels": True}

every_keyed_recipe = pytest.mark.parametrize("recipe", KEYED, ids=str)


def with_key(call: Call) -> Call:
    return call.with_input(idempotencyKey=unique("key"))


def flag_call(town_id: str, expected_version: int = 1, **fields: object) -> Call:
    """Publish that bead models are honoured."""
    given = {"townId": town_id, "expectedVersion": expected_version, "draft": FLAG, "reason": "For a test.", **fields}
    return Call(town_id=town_id, arguments={"input": given})


def test_recipes__of_mutations_with_a_key__are_those_of_the_schema(shared_api: Api) -> None:
    keyed = {name for name, takes_key in mutations(shared_api).items() if takes_key}
    assert {recipe.mutation for recipe in KEYED} == keyed


@every_keyed_recipe
def test_key__same_body_again__gives_the_same_reply_and_has_no_further_effect(shared_api: Api, recipe: Recipe) -> None:
    call = with_key(recipe.prepare(shared_api))
    first = send(shared_api, recipe.mutation, call, recipe.reply)
    after_first = chain_lengths(shared_api, call.town_id)
    again = send(shared_api, recipe.mutation, call, recipe.reply)
    assert (codes(first), again) == ([], first)
    assert chain_lengths(shared_api, call.town_id) == after_first


@every_keyed_recipe
def test_key__refused_then_mended_then_with_another_body__takes_effect_once(shared_api: Api, recipe: Recipe) -> None:
    """What is refused stores nothing, so the key is still free; once it has been used it means that request only."""
    call = with_key(recipe.prepare(shared_api))
    assert codes(send(shared_api, recipe.mutation, call.with_input(**recipe.spoilt))) != []
    assert codes(send(shared_api, recipe.mutation, call)) == []
    conflict = send(shared_api, recipe.mutation, call.with_input(**recipe.altered))
    assert conflict["userErrors"] == [{"code": "IDEMPOTENCY_CONFLICT", "path": ["idempotencyKey"]}]


def test_key__of_another_mutation__is_a_conflict(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    used: Json = {"townId": town_id, "reason": "For a test.", "idempotencyKey": unique("key")}
    shared_api.done("publishOverrideSet", **used, expectedVersion=1, draft=FLAG)
    others: tuple[tuple[str, Json], ...] = (
        ("selectProfile", {"profile": "frugal"}),
        ("setOverride", {"override": rule(SONNET, "MAYOR")}),
        ("removeOverride", {"role": "MAYOR"}),
        ("revertOverrideSet", {"toVersion": 1}),
    )
    for mutation, fields in others:
        refused = shared_api.refusals(mutation, **used, **fields, expectedVersion=2)
        assert refused == [("IDEMPOTENCY_CONFLICT", ["idempotencyKey"])], mutation
    assert shared_api.version(town_id) == 2


def test_key__of_another_actor__is_another_key(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    call = with_key(flag_call(town_id))
    ann, ben = {"X-Actor": "ann"}, {"X-Actor": "ben"}
    assert codes(send(shared_api, "publishOverrideSet", call, headers=ann)) == []
    assert codes(send(shared_api, "publishOverrideSet", call, headers=ben)) == ["VERSION_CONFLICT"]
    of_ben = call.with_input(expectedVersion=2, draft={"honorBeadModels": False})
    assert codes(send(shared_api, "publishOverrideSet", of_ben, headers=ben)) == []
    replays = [
        send(shared_api, "publishOverrideSet", replayed, "overrideSet { version }", headers)["overrideSet"]["version"]
        for replayed, headers in ((call, ann), (of_ben, ben))
    ]
    assert (replays, shared_api.version(town_id)) == ([2, 3], 3)


def test_key__without_one__each_request_is_judged_by_itself(shared_api: Api) -> None:
    call = flag_call(make_town(shared_api, rigs=()))
    answers = [codes(send(shared_api, "publishOverrideSet", call)) for _ in range(2)]
    assert answers == [[], ["VERSION_CONFLICT"]]


def test_key__replayed_after_later_versions__gives_the_version_it_made(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    call = with_key(flag_call(town_id))
    fields = "overrideSet { version contentHash createdAt }"
    first = send(shared_api, "publishOverrideSet", call, fields)
    shared_api.done("selectProfile", townId=town_id, expectedVersion=2, profile="frugal", reason="For a test.")
    assert send(shared_api, "publishOverrideSet", call, fields) == first
    assert shared_api.version(town_id) == 3


def test_key__replayed_to_another_process__gives_the_version_it_made(shared_api: Api) -> None:
    call = with_key(flag_call(make_town(shared_api, rigs=())))
    first = send(shared_api, "publishOverrideSet", call, "overrideSet { id }")
    with serving(shared_api.url) as other:
        assert send(other, "publishOverrideSet", call, "overrideSet { id }") == first


def test_key__null_and_left_out_fields__are_the_same_body(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    call = with_key(flag_call(town_id))
    send(shared_api, "publishOverrideSet", call)
    spelt_out = call.with_input(draft={**FLAG, "profile": None, "overrides": None})
    assert codes(send(shared_api, "publishOverrideSet", spelt_out)) == []
    assert shared_api.version(town_id) == 2


def prepare_publish(api: Api) -> tuple[str, str, Call]:
    town_id = make_town(api, rigs=())
    return "publishOverrideSet", "overrideSet { version }", flag_call(town_id)


def prepare_creation(_api: Api) -> tuple[str, str, Call]:
    town_id = unique("made")
    return "createTown", "town { id }", Call(town_id=town_id, arguments={"input": {"townId": town_id, "name": "Town"}})


def prepare_profile(api: Api) -> tuple[str, str, Call]:
    name, town_id = followed_profile(api)
    call = Call(town_id=town_id, arguments={"input": profile_input(name, 1, mayor=HAIKU)})
    return "publishProfileVersion", "profileVersion { version } townsUpdated", call


@pytest.mark.parametrize(("prepare", "senders"), [(prepare_publish, 32), (prepare_creation, 8), (prepare_profile, 8)])
def test_key__sent_by_many_at_once__has_one_effect_and_one_reply(
    shared_api: Api, prepare: Callable[[Api], tuple[str, str, Call]], senders: int
) -> None:
    mutation, fields, call = prepare(shared_api)
    call = with_key(call)
    before, _ = chain_lengths(shared_api, call.town_id)
    headers = {"X-Actor": unique("actor")}
    answers = at_once([partial(send, shared_api, mutation, call, fields, headers)] * senders)
    assert codes(answers[0]) == []
    assert all(answer == answers[0] for answer in answers)
    assert chain_lengths(shared_api, call.town_id)[0] == before + 1
