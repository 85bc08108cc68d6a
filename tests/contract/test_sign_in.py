"""Signing in with a token of an OpenID Connect issuer, from its claims to the record."""

import json
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.client import Api, Json, serving
from tests.contract.hall import MUTATIONS
from tests.contract.operations import OWN, QUESTIONS, Answer, ask, ask_for, recipe_of
from tests.contract.recipes import profile_input, unique
from tests.issuer import AUDIENCE, SCOPES, TOWNS, Issuer, issuer, signer
from tests.permissions import FORBIDDEN, ROWS
from tests.towns import make_town

VIEWER: Final = "{ viewer { name actor { displayName } scopes towns mayActFor } }"
TOWN: Final = "query ($t: ID!) { town(townId: $t) { townId } }"
REGISTER: Final = """mutation ($input: RegisterRigInput!) { registerRig(input: $input) { userErrors { code } } }"""


@pytest.fixture(scope="module")
def it() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


@pytest.fixture(scope="module")
def signing(dev: Api, it: Issuer) -> Iterator[Api]:
    """A Townclerk over the database of `dev` that takes the issuer's tokens."""
    claims: Json = {"oidc_scopes_claim": SCOPES, "oidc_towns_claim": TOWNS}
    oidc: Json = {"oidc_issuer": it.url, "oidc_audience": AUDIENCE, **claims}
    with serving(dev.url, dev=False, max_failed_sign_ins=100_000, **oidc) as running:
        yield running


def viewer(api: Api) -> Json:
    found: Json = api.data(VIEWER)["viewer"]
    return found


def register(api: Api, town_id: str) -> None:
    rig: Json = {"townId": town_id, "rigId": unique("rig"), "name": "Rig"}
    assert api.data(REGISTER, input=rig) == {"registerRig": {"userErrors": []}}


def test_claims__of_scopes_and_towns__are_what_the_token_is_for(dev: Api, signing: Api, it: Issuer) -> None:
    town_id = make_town(dev, rigs=())
    person = unique("person")
    token = it.token(person, scopes=("editor", "auditor", "root"), towns=(town_id,))
    found = viewer(signing.holding(token))
    assert found.pop("name") == f"oidc:{person}"
    assert found == {"actor": None, "scopes": ["AUDITOR", "EDITOR"], "towns": [town_id], "mayActFor": False}


def test_claims__of_towns__hide_all_others(dev: Api, signing: Api, it: Issuer) -> None:
    own, other = (make_town(dev, rigs=()) for _ in range(2))
    api = signing.holding(it.token(towns=(own,)))
    assert [api.data(TOWN, t=town_id)["town"] for town_id in (own, other)] == [{"townId": own}, None]


def test_claims__without_any_town__show_none(dev: Api, signing: Api, it: Issuer) -> None:
    town_id = make_town(dev, rigs=())
    api = signing.holding(it.token(without=(TOWNS,)))
    assert api.data(TOWN, t=town_id) == {"town": None}
    assert api.data("{ towns { edges { cursor } } }") == {"towns": {"edges": []}}


def test_claims__of_every_town__are_for_all_there_are(dev: Api, signing: Api, it: Issuer) -> None:
    api, town_id = signing.holding(it.token(towns=("*",))), make_town(dev, rigs=())
    assert (viewer(api)["towns"], api.data(TOWN, t=town_id)) == (None, {"town": {"townId": town_id}})


def test_entry__of_a_change__names_the_person_of_the_issuer(dev: Api, signing: Api, it: Issuer) -> None:
    town_id, name = make_town(dev, rigs=()), unique("alice")
    register(signing.holding(it.token(name, scopes=("dispatcher",), jti="4711")), town_id)
    (entry, *_) = dev.entries(town_id, "actor { actorId displayName onBehalfOf }")
    assert (entry["actor"]["displayName"], entry["actor"]["onBehalfOf"]) == (f"oidc:{name}", None)
    assert re.fullmatch("act_[0-9a-f]{32}", entry["actor"]["actorId"])
    exported = dev.http.get("/audit/export", params={"townId": town_id}).text.splitlines()[-2]
    assert json.loads(exported)["entry"]["credential"] == "oidc:4711"


def test_entries__of_a_person_with_two_tokens__have_one_actor(dev: Api, signing: Api, it: Issuer) -> None:
    town_id, name = make_town(dev, rigs=()), unique("alice")
    for scopes in (("editor",), ("dispatcher",)):
        register(signing.holding(it.token(name, scopes=scopes)), town_id)
    actors = {entry["actor"]["actorId"] for entry in dev.entries(town_id, "actor { actorId }")[:2]}
    assert len(actors) == 1


def test_viewer__who_has_changed_something__has_an_actor(dev: Api, signing: Api, it: Issuer) -> None:
    town_id, name = make_town(dev, rigs=()), unique("alice")
    api = signing.holding(it.token(name, scopes=("editor",)))
    register(api, town_id)
    assert viewer(api)["actor"] == {"displayName": f"oidc:{name}"}


@pytest.mark.parametrize(
    "wrong",
    [{"exp": 1_000_000_000}, {"aud": "another"}, {"iss": "https://another.example"}, {"by": signer("RS256", 99)}],
    ids=["expired", "for_another", "of_another", "signed_by_another"],
)
def test_token__that_is_not_good__is_unauthenticated(signing: Api, it: Issuer, wrong: Json) -> None:
    status, body = signing.holding(it.token(**wrong)).post(json.dumps({"query": VIEWER}).encode())
    assert Answer(status=status, body=body).verdict == "UNAUTHENTICATED"


@pytest.mark.parametrize("wrong", [{"scopes": ()}, {"scopes": ("root",)}, {"without": (SCOPES,)}], ids=str)
def test_token__without_scopes__is_forbidden_everything(dev: Api, signing: Api, it: Issuer, wrong: Json) -> None:
    api = signing.holding(it.token(**wrong))
    asked = {str(row): ask(api, QUESTIONS[str(row)], OWN) for row in ROWS if row not in MUTATIONS}
    changed = {str(row): ask_for(api, row.field, recipe_of(row).prepare(dev)) for row in MUTATIONS}
    assert {name: answer.verdict for name, answer in (asked | changed).items()} == dict.fromkeys(
        map(str, ROWS), FORBIDDEN
    )


def test_person__who_is_new_and_forbidden_a_central_profile__leaves_no_actor(signing: Api, it: Issuer) -> None:
    api = signing.holding(it.token(unique("newcomer"), scopes=("editor",)))
    publish = """mutation ($input: PublishProfileVersionInput!) {
        publishProfileVersion(input: $input) { currentVersion }
    }"""
    assert api.codes(publish, input=profile_input(unique("central"), 0)) == [FORBIDDEN]
    assert viewer(api)["actor"] is None
