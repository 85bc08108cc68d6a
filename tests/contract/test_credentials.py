"""What is known of whoever holds a token: in the record, to itself, and until when it is worth anything."""

import json
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from sqlmodel import col, select

from models.store.access import TokenRow
from models.store.unit import Store
from tests.chains import with_store
from tests.client import Api, Json, SteppingClock, serving
from tests.contract.recipes import RECIPES, Recipe, codes, send, unique
from tests.permissions import SCOPES
from tests.tokens import make_token, revoke
from tests.towns import make_town

PERSON: Final = "Ann Example"
REGISTER: Final = """mutation ($input: RegisterRigInput!) { registerRig(input: $input) { userErrors { code } } }"""
LATER: Final = datetime(2100, 1, 1, 12, tzinfo=UTC)


# ---- in the record

ENTRIES: Final = """query ($t: ID, $id: String!) {
    auditEntries(townId: $t, filter: {requestId: $id}) {
        edges { node { sequence actor { actorId displayName onBehalfOf } } }
    }
}"""


def entries_of(dev: Api, town_id: str, request_id: str) -> list[Json]:
    """The entries that a request has left, in the town's chain and in the central one."""
    told = dev.execute(ENTRIES, t=town_id, id=request_id).get("data") or {"auditEntries": {"edges": []}}
    central = dev.data(ENTRIES, t=None, id=request_id)
    return [edge["node"] for found in (told, central) for edge in found["auditEntries"]["edges"]]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_entry__of_any_change__tells_whose_token_it_was_and_for_whom(dev: Api, shut: Api, recipe: Recipe) -> None:
    token = make_token(dev.url, "editor", "admin", name="Frontend", may_act_for=True)
    call, request_id = recipe.prepare(dev), unique("request")
    headers = {"X-On-Behalf-Of": PERSON, "X-Request-Id": request_id}
    assert codes(send(shut.holding(token), recipe.mutation, call, headers=headers)) == []
    actors = [entry["actor"] for entry in entries_of(dev, call.town_id, request_id)]
    assert len(actors) == len(recipe.town) + len(recipe.central)
    assert {(actor["displayName"], actor["onBehalfOf"]) for actor in actors} == {("Frontend", PERSON)}


def register(api: Api, town_id: str, headers: dict[str, str] | None = None) -> None:
    rig: Json = {"townId": town_id, "rigId": unique("rig"), "name": "Rig"}
    assert api.data(REGISTER, headers=headers, input=rig) == {"registerRig": {"userErrors": []}}


def last_line(api: Api, town_id: str) -> Json:
    """The last entry of an export."""
    *_, entry, _ = api.http.get("/audit/export", params={"townId": town_id}).text.splitlines()
    found: Json = json.loads(entry)["entry"]
    return found


def test_export__of_a_change_for_somebody__has_ids_of_principal_person_and_credential(dev: Api, shut: Api) -> None:
    town_id = make_town(dev, rigs=())
    token = make_token(dev.url, "editor", towns=[town_id], name="Frontend", may_act_for=True)
    register(shut.holding(token), town_id, {"X-On-Behalf-Of": PERSON})
    entry, actor = last_line(dev, town_id), dev.entries(town_id, "actor { actorId }")[0]["actor"]
    assert (entry["actor"], entry["credential"]) == (actor["actorId"], token.split("_")[1])
    assert re.fullmatch("act_[0-9a-f]{32}", entry["onBehalfOf"])
    assert entry["onBehalfOf"] != entry["actor"]


def test_export__of_a_change_for_nobody_else__has_no_person(dev: Api, shut: Api) -> None:
    town_id = make_town(dev, rigs=())
    register(shut.holding(make_token(dev.url, "editor", may_act_for=True)), town_id)
    assert last_line(dev, town_id)["onBehalfOf"] is None


def test_export__of_changes_by_two_tokens_of_a_principal__tells_them_apart(dev: Api, shut: Api) -> None:
    town_id, lines = make_town(dev, rigs=()), []
    tokens = [make_token(dev.url, "editor", name="The principal") for _ in range(2)]
    for token in tokens:
        register(shut.holding(token), town_id)
        lines.append(last_line(dev, town_id))
    assert len({line["actor"] for line in lines}) == 1
    assert [line["credential"] for line in lines] == [token.split("_")[1] for token in tokens]


# ---- for whom it acts


@pytest.fixture(scope="module")
def town_id(dev: Api) -> str:
    return make_town(dev, rigs=())


@pytest.fixture(scope="module")
def frontend(shut: Api) -> Api:
    """Townclerk as a trusted client has it."""
    return shut.holding(make_token(shut.url, *SCOPES, may_act_for=True))


def asked(api: Api, kind: str, town_id: str, *persons: bytes) -> tuple[int, str]:
    """Status and code of a request of some kind that names persons, and would change something."""
    headers: list[tuple[bytes, bytes]] = [(b"x-on-behalf-of", person) for person in persons]
    headers.append((b"authorization", api.credential["authorization"].encode()))
    if kind.startswith("/"):
        response = api.http.get(kind, headers=headers)
    else:
        rig: Json = {"townId": town_id, "rigId": "forbidden", "name": "Rig"}
        headers += [(b"content-type", b"application/json"), (b"accept", ACCEPTED[kind])]
        body = json.dumps({"query": REGISTER, "variables": {"input": rig}})
        response = api.http.post("/graphql", content=body, headers=headers)
    (error,) = response.json()["errors"]
    return response.status_code, error["extensions"]["code"]


ACCEPTED: Final = {"document": b"application/json", "stream": b"text/event-stream"}
ODD_PERSONS: Final[dict[str, Sequence[bytes]]] = {
    "twice": (b"ann", b"ben"),
    "the_same_twice": (b"ann", b"ann"),
    "empty": (b"",),
    "blank": (b" ",),
    "129 characters": (b"a" * 129,),
    "Latin-1": (b"J\xfcrgen",),
    "UTF-8": ("J\u00fcrgen".encode(),),
    "a tab": (b"a\tb",),
}
every_kind = pytest.mark.parametrize("kind", [*ACCEPTED, "/audit/export", "/metrics"])


@every_kind
def test_person__named_with_a_token_that_acts_for_nobody__is_forbidden(
    dev: Api, shut: Api, town_id: str, kind: str
) -> None:
    before = dev.entries(town_id)
    api = shut.holding(make_token(dev.url, *SCOPES))
    assert asked(api, kind, town_id, b"ann") == (403, "FORBIDDEN")
    assert dev.entries(town_id) == before


@every_kind
@pytest.mark.parametrize("persons", ODD_PERSONS.values(), ids=ODD_PERSONS)
def test_person__that_can_not_be_one__is_refused(
    dev: Api, frontend: Api, town_id: str, kind: str, persons: Sequence[bytes]
) -> None:
    before = dev.entries(town_id)
    assert asked(frontend, kind, town_id, *persons) == (400, "INVALID_INPUT")
    assert dev.entries(town_id) == before


# ---- what it knows of itself

VIEWER: Final = """{ viewer {
    name actor { actorId displayName onBehalfOf } scopes towns actsFor mayActFor expiresAt
} }"""


def viewer(api: Api, **headers: str) -> Json:
    found: Json = api.data(VIEWER, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return found["viewer"]  # type: ignore[no-any-return]  # JSON is any value


def test_viewer__with_a_token_for_some_towns__is_told_what_it_is_for(dev: Api, shut: Api) -> None:
    towns = sorted(make_town(dev, rigs=()) for _ in range(2))
    token = make_token(dev.url, "editor", "auditor", towns=towns, name="Robot", expires_at=LATER)
    found = viewer(shut.holding(token))
    actor = found.pop("actor")
    assert (actor["displayName"], actor["onBehalfOf"]) == ("Robot", None)
    assert re.fullmatch("act_[0-9a-f]{32}", actor["actorId"])
    assert found == {
        "name": "Robot",
        "scopes": ["AUDITOR", "EDITOR"],
        "towns": towns,
        "actsFor": None,
        "mayActFor": False,
        "expiresAt": "2100-01-01T12:00:00.000000Z",
    }


def test_viewer__who_acts_for_somebody__is_told_for_whom(dev: Api, shut: Api) -> None:
    town_id, person = make_town(dev, rigs=()), unique("Someone else")
    api = shut.holding(make_token(dev.url, "dispatcher", name="Frontend", may_act_for=True))
    before = viewer(api, x_on_behalf_of=person)
    register(api, town_id, {"X-On-Behalf-Of": person})
    after = viewer(api, x_on_behalf_of=person)
    assert (before["actsFor"], before["mayActFor"], before["actor"]["onBehalfOf"]) == (person, True, None)
    assert after == {**before, "actor": {**before["actor"], "onBehalfOf": person}}
    assert (after["towns"], after["scopes"], after["expiresAt"]) == (None, ["DISPATCHER"], None)


def test_viewer__in_dev_mode__may_everything(dev: Api) -> None:
    assert viewer(dev) == {
        "name": "dev",
        "actor": {"actorId": "dev", "displayName": "dev", "onBehalfOf": None},
        "scopes": ["ADMIN", "AUDITOR", "DISPATCHER", "EDITOR", "READER"],
        "towns": None,
        "actsFor": None,
        "mayActFor": True,
        "expiresAt": None,
    }


def test_viewer__named_in_dev_mode__is_nobody_until_something_was_changed(dev: Api) -> None:
    town_id, name = make_town(dev, rigs=()), unique("newcomer")
    before = viewer(dev, x_actor=name)["actor"]
    register(dev, town_id, {"X-Actor": name})
    assert (before, viewer(dev, x_actor=name)["actor"]["displayName"]) == (None, name)


# ---- until when it is worth anything


def test_token__that_was_revoked_elsewhere__is_refused_within_a_second_by_every_server(dev: Api, shut: Api) -> None:
    token = make_token(dev.url, "reader")
    with serving(dev.url, dev=False, max_failed_sign_ins=100_000) as other:
        holders = [shut.holding(token), other.holding(token)]
        assert [viewer(api)["scopes"] for api in holders] == [["READER"]] * 2
        revoke(dev.url, token)
        revoked = time.monotonic()
        for api in holders:
            while True:
                begun = time.monotonic()
                status, _ = api.post(json.dumps({"query": VIEWER}).encode())
                if status == 401:
                    break
                assert begun - revoked < 1, "it is taken still"


def status_of(api: Api) -> int:
    return api.post(json.dumps({"query": VIEWER}).encode())[0]


def test_token__by_the_clock__is_refused_from_the_instant_it_ends_at(dev: Api) -> None:
    token = make_token(dev.url, "reader", expires_at=LATER)
    clock = SteppingClock(LATER - timedelta(seconds=10))
    with serving(dev.url, dev=False, clock=clock) as api:
        before = status_of(api.holding(token))
        clock.now = LATER
        assert (before, status_of(api.holding(token))) == (200, 401)


def last_use(url: str, token: str) -> datetime | None:
    async def look(store: Store) -> datetime | None:
        query = select(TokenRow.last_used_at).where(col(TokenRow.token_id) == token.split("_")[1])
        async with store.read() as session:
            return (await session.exec(query)).one()

    return with_store(url, look)


def used(url: str, token: str, clock: SteppingClock, times: int = 1) -> datetime | None:
    """When a token was used last by what is stored after it was used with a server that has come and gone."""
    with serving(url, dev=False, clock=clock) as api:
        assert {status_of(api.holding(token)) for _ in range(times)} == {200}
    return last_use(url, token)


def test_last_use__of_a_token__is_taken_down_coarsely(dev: Api) -> None:
    token, clock = make_token(dev.url, "reader"), SteppingClock(datetime.now(UTC))
    begun = clock.now
    assert last_use(dev.url, token) is None
    first = used(dev.url, token, clock, times=50)
    assert first is not None
    assert begun < first < begun + timedelta(milliseconds=50)  # a look at the clock is a millisecond
    clock.now = first + timedelta(minutes=4)
    assert used(dev.url, token, clock) == first
    clock.now = first + timedelta(minutes=6)
    assert used(dev.url, token, clock) > first + timedelta(minutes=5)  # type: ignore[operator]  # it is no longer None
