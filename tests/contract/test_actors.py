"""Who acted: opaque ids in the record, names beside it; one id for a name, whoever comes first with it."""

import itertools
import re
from functools import partial
from typing import Final

import pytest

from tests.client import Api, Json, serving
from tests.contract.inputs import quiet
from tests.contract.recipes import Call, at_once, codes, send, unique
from tests.tokens import make_token
from tests.towns import make_town

REGISTER: Final = "mutation ($input: RegisterRigInput!) { registerRig(input: $input) { userErrors { code } } }"
DEV: Final = {"actorId": "dev", "displayName": "dev"}


@pytest.fixture(scope="module")
def town_id(shared_api: Api) -> str:
    return make_town(shared_api, rigs=())


def register_rig(api: Api, town_id: str, name: str | None) -> None:
    """Make a change as somebody; as nobody in particular where there is no name."""
    call = Call(town_id=town_id, arguments={"input": {"townId": town_id, "rigId": unique("rig"), "name": "Rig"}})
    headers = None if name is None else {"X-Actor": name}
    assert codes(send(api, "registerRig", call, headers=headers)) == []


def last_actor(api: Api, town_id: str) -> Json:
    actor: Json = api.entries(town_id, "actor { actorId displayName }")[0]["actor"]
    return actor


@pytest.mark.parametrize("name", ["ann", "Ann Example", "ci/bot@example.org", "a" * 128, "cli", "townclerk"])
def test_actor__named_in_dev_mode__has_an_opaque_id_that_stays(shared_api: Api, town_id: str, name: str) -> None:
    actors = []
    for _ in range(2):
        register_rig(shared_api, town_id, name)
        actors.append(last_actor(shared_api, town_id))
    assert actors[0] == actors[1]
    assert actors[0]["displayName"] == name
    assert re.fullmatch("act_[0-9a-f]{32}", actors[0]["actorId"])


@pytest.mark.parametrize("name", [None, "dev"], ids=["not_named", "by_its_name"])
def test_actor__of_dev_mode__is_dev(shared_api: Api, town_id: str, name: str | None) -> None:
    register_rig(shared_api, town_id, name)
    assert last_actor(shared_api, town_id) == DEV


@pytest.mark.parametrize(("name", "actor_id"), [("Townclerk", "townclerk"), ("Command line", "cli")])
def test_actor__named_like_one_that_is_built_in__is_that_one(
    shared_api: Api, town_id: str, name: str, actor_id: str
) -> None:
    register_rig(shared_api, town_id, name)
    assert last_actor(shared_api, town_id) == {"actorId": actor_id, "displayName": name}


def test_actor__named_outside_dev_mode__is_whose_token_it_is(api: Api) -> None:
    town_id = make_town(api, rigs=())
    token = make_token(api.url, "editor", name="ci-bot")
    with serving(api.url, dev=False) as shut:
        register_rig(shut.holding(token), town_id, "ann")
    assert last_actor(api, town_id)["displayName"] == "ci-bot"


def test_actor__named_by_many_at_once_in_two_processes__is_one(api: Api) -> None:
    town_id = make_town(api, rigs=())
    with serving(api.url) as other:
        at_once([partial(register_rig, (api, other)[number % 2], town_id, "newcomer") for number in range(12)])
    actors = [entry["actor"] for entry in api.entries(town_id, "actor { actorId displayName }")[:12]]
    assert {actor["displayName"] for actor in actors} == {"newcomer"}
    assert len({actor["actorId"] for actor in actors}) == 1


def test_actor__new_by_name__has_an_id_of_the_source_that_the_application_was_given(database_url: str) -> None:
    numbers = itertools.count(1)
    with serving(database_url, new_id=lambda: f"{next(numbers):032x}") as api:
        town_id = make_town(api, rigs=())
        for name in ("ann", "ben", "ann"):
            register_rig(api, town_id, name)
        ids = [entry["actor"]["actorId"] for entry in api.entries(town_id, "actor { actorId }")[:3]]
    assert ids == [f"act_{number:032x}" for number in (1, 2, 1)]


class Outage:
    """A source of ids that is cut off from the database, and tells how often it was asked."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> str:
        self.looks += 1
        raise OSError


def test_actor__that_can_not_be_given_an_id__is_storage_unavailable(database_url: str) -> None:
    with serving(database_url) as api:
        town_id = make_town(api, rigs=())
    with serving(database_url, new_id=Outage()) as api, quiet():
        given = {"townId": town_id, "rigId": "rig", "name": "Rig"}
        answer = api.execute(REGISTER, headers={"X-Actor": "ann"}, input=given)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["STORAGE_UNAVAILABLE"]


@pytest.mark.parametrize(
    ("body", "status"), [({}, 400), ({"query": "{ labels { name } }"}, 200)], ids=["no_operation", "a_query"]
)
def test_actor__who_changes_nothing__is_given_no_id(database_url: str, body: Json, status: int) -> None:
    outage = Outage()
    with serving(database_url, new_id=outage) as api:
        response = api.http.post("/graphql", json=body, headers={"X-Actor": "ann"})
    assert (response.status_code, outage.looks) == (status, 0)
