"""Towns and their rigs, global ids, and several mutations in one request."""

import base64
import json
from typing import Any, Final

import pytest

from tests.client import Api, Json
from tests.contract.recipes import REASON, own_profile, unique
from tests.towns import KILO, SONNET, make_town, publish, rule, sync

RIGS: Final = "query ($t: ID!) { town(townId: $t) { rigs { id rigId name removedAt town { townId } } } }"


def rigs(api: Api, town_id: str) -> list[Json]:
    found: list[Json] = api.data(RIGS, t=town_id)["town"]["rigs"]
    return found


# ---------------------------------------------------------------- towns


def test_town__just_made__is_as_it_was_asked_for(shared_api: Api) -> None:
    town_id = unique("made")
    fields = "town { id townId name createdAt overrideSet { createdAt } rigs { id } beads { edges { cursor } } }"
    town = shared_api.done("createTown", fields, townId=town_id, name="Überall — a town")["town"]
    assert (town["townId"], town["name"]) == (town_id, "Überall — a town")
    assert town["createdAt"] == town["overrideSet"]["createdAt"]
    assert (town["rigs"], town["beads"]["edges"]) == ([], [])


def test_town__made_twice__exists_already_and_is_left_alone(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    refused = shared_api.refusals("createTown", townId=town_id, name="Another name", profile="frugal")
    assert refused == [("ALREADY_EXISTS", ["townId"])]
    query = "query ($t: ID!) { town(townId: $t) { name overrideSet { version profile { name } } } }"
    town = shared_api.data(query, t=town_id)["town"]
    assert (town["name"], town["overrideSet"]) == (f"Town {town_id}", {"version": 1, "profile": {"name": "balanced"}})


def test_town__that_is_not_there__is_null(shared_api: Api) -> None:
    for town_id in ("nowhere", "@central", "", "\u2603"):
        assert shared_api.data("query ($t: ID!) { town(townId: $t) { id } }", t=town_id) == {"town": None}


@pytest.mark.parametrize(
    ("looked_for", "found"), [("ÜBERLINGEN", True), ("berlin", True), ("über%", False), ("überXlingen", False)]
)
def test_towns__by_name__are_found_whatever_the_case(shared_api: Api, looked_for: str, found: bool) -> None:  # noqa: FBT001  # a parameter
    town_id = unique("made")
    mark = unique("Mark")
    shared_api.done("createTown", townId=town_id, name=f"{mark} Überlingen")
    query = "query ($n: String) { towns(nameContains: $n, first: 200) { edges { node { townId } } } }"
    edges = shared_api.data(query, n=looked_for)["towns"]["edges"]
    assert ({"node": {"townId": town_id}} in edges) is found


def test_default_resolution__of_a_town__follows_only_the_rule_for_any_role(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=("web",))
    overrides = [rule(KILO), rule(SONNET, "POLECAT"), rule(SONNET, rig="web"), rule(SONNET, "MAYOR")]
    publish(shared_api, town_id, overrides=overrides)
    query = """query ($t: ID!) { town(townId: $t) {
        defaultResolution { beadId role model overrideSetVersion matchedRule { key source } }
    } }"""
    assert shared_api.data(query, t=town_id)["town"]["defaultResolution"] == {
        "beadId": None,
        "role": None,
        "model": KILO,
        "overrideSetVersion": 2,
        "matchedRule": {"key": "*", "source": "OVERRIDE"},
    }


# ---------------------------------------------------------------- rigs


def test_rig__registered_removed_and_registered_again__is_there_under_its_new_name(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=("web", "api"))
    instants = []
    for mutation, given in (("removeRig", {}), ("registerRig", {"name": "The web"})):
        fields = "rig { rigId name removedAt town { townId auditEntries(first: 1) { edges { node { occurredAt } } } } }"
        rig = shared_api.done(mutation, fields, townId=town_id, rigId="web", **given)["rig"]
        entry = rig.pop("town")["auditEntries"]["edges"][0]["node"]
        instants.append((rig["removedAt"], entry["occurredAt"]))
    (removed_at, removal), (no_more, _) = instants
    assert (removed_at, no_more) == (removal, None)
    found = [(rig["rigId"], rig["name"], rig["removedAt"]) for rig in rigs(shared_api, town_id)]
    assert found == [("api", "Api", None), ("web", "The web", None)]


def test_rig__removed__is_still_listed(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=("web",))
    shared_api.done("removeRig", townId=town_id, rigId="web")
    (rig,) = rigs(shared_api, town_id)
    assert (rig["rigId"], rig["removedAt"] is None, rig["town"]) == ("web", False, {"townId": town_id})


def test_rig__of_the_same_id_in_two_towns__is_two_rigs(shared_api: Api) -> None:
    one, two = make_town(shared_api, rigs=("web",)), make_town(shared_api, rigs=("web",))
    shared_api.done("removeRig", townId=one, rigId="web")
    ids = [rigs(shared_api, town_id)[0] for town_id in (one, two)]
    assert ids[0]["id"] != ids[1]["id"]
    assert ids[1]["removedAt"] is None


def refused_rig(api: Api, mutation: str, town_id: str, rig_id: str) -> list[tuple[str, list[str]]]:
    given = {"name": "A rig"} if mutation == "registerRig" else {}
    return api.refusals(mutation, townId=town_id, rigId=rig_id, **given)


def test_rig__registered_twice_or_removed_twice__is_refused(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=("web",))
    assert refused_rig(shared_api, "registerRig", town_id, "web") == [("ALREADY_EXISTS", ["rigId"])]
    shared_api.done("removeRig", townId=town_id, rigId="web")
    assert refused_rig(shared_api, "removeRig", town_id, "web") == [("UNKNOWN_RIG", ["rigId"])]
    assert refused_rig(shared_api, "removeRig", town_id, "never-there") == [("UNKNOWN_RIG", ["rigId"])]


@pytest.mark.parametrize("mutation", ["registerRig", "removeRig"])
def test_rig__of_an_unknown_town__is_refused(shared_api: Api, mutation: str) -> None:
    assert refused_rig(shared_api, mutation, "nowhere", "web") == [("NOT_FOUND", ["townId"])]


def test_task_in_a_removed_rig__still_resolves_there(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=("web",))
    publish(shared_api, town_id, overrides=[rule(KILO, "POLECAT", rig="web")])
    shared_api.done("removeRig", townId=town_id, rigId="web")
    query = "query ($t: ID!, $r: ID) { taskResolution(townId: $t, task: {rigId: $r}) { model } }"
    assert shared_api.data(query, t=town_id, r="web") == {"taskResolution": {"model": KILO}}
    assert shared_api.codes(query, t=town_id, r="never-there") == ["UNKNOWN_RIG"]


# ---------------------------------------------------------------- several mutations in one request


def test_mutations__in_one_request__see_what_those_before_wrote(shared_api: Api) -> None:
    town_id = unique("made")
    override = "{role: MAYOR, model: " + json.dumps(KILO) + "}"
    query = f"""mutation ($t: ID!, $bead: ID!) {{
        made: createTown(input: {{townId: $t, name: "A town"}}) {{ town {{ rigs {{ rigId }} }} }}
        rig: registerRig(input: {{townId: $t, rigId: "web", name: "Web"}}) {{ rig {{ town {{ rigs {{ rigId }} }} }} }}
        synced: syncBeads(input: {{townId: $t, beads: [{{beadId: $bead, rigId: "web"}}]}}) {{
            beads {{ rig {{ name }} resolution {{ model overrideSetVersion }} }}
        }}
        set: setOverride(input: {{townId: $t, expectedVersion: 1, override: {override}, reason: "{REASON}"}}) {{
            overrideSet {{ version town {{ mayor {{ desired {{ model }} }} overrideSet {{ version }} }} }}
        }}
        stale: setOverride(input: {{townId: $t, expectedVersion: 1, override: {override}, reason: "{REASON}"}}) {{
            currentVersion userErrors {{ code }}
        }}
        removed: removeRig(input: {{townId: $t, rigId: "web"}}) {{ rig {{ town {{ overrideSet {{ version }} }} }} }}
        again: syncBeads(input: {{townId: $t, beads: [{{beadId: $bead, rigId: "web"}}]}}) {{ userErrors {{ code }} }}
    }}"""
    assert shared_api.data(query, t=town_id, bead=unique("bead")) == {
        "made": {"town": {"rigs": []}},
        "rig": {"rig": {"town": {"rigs": [{"rigId": "web"}]}}},
        "synced": {"beads": [{"rig": {"name": "Web"}, "resolution": {"model": SONNET, "overrideSetVersion": 1}}]},
        "set": {
            "overrideSet": {
                "version": 2,
                "town": {"mayor": {"desired": {"model": KILO}}, "overrideSet": {"version": 2}},
            }
        },
        "stale": {"currentVersion": 2, "userErrors": [{"code": "VERSION_CONFLICT"}]},
        "removed": {"rig": {"town": {"overrideSet": {"version": 2}}}},
        "again": {"userErrors": [{"code": "UNKNOWN_RIG"}]},
    }


# ---------------------------------------------------------------- global ids


@pytest.fixture(scope="module")
def nodes(shared_api: Api) -> dict[str, str]:
    """An id of each type that has one, and of what is easily mixed up with another."""
    town_id, bead_id = make_town(shared_api, rigs=("web",)), unique("bead")
    own_profile(shared_api, town_id)
    sync(shared_api, town_id, {"beadId": bead_id, "rigId": "web"})
    query = """query ($t: ID!, $bead: ID!) {
        town(townId: $t) { id rigs { id } auditEntries(first: 1) { edges { node { id } } }
            overrideSet { id profile { id } profileVersion { id } } }
        bead(beadId: $bead) { id }
        profile(name: "balanced") { id current { id } }
        auditEntries(first: 1) { edges { node { id } } }
    }"""
    found = shared_api.data(query, t=town_id, bead=bead_id)
    town, central = found["town"], found["profile"]
    return {
        "Town": town["id"],
        "Rig": town["rigs"][0]["id"],
        "Bead": found["bead"]["id"],
        "Profile": central["id"],
        "ProfileVersion": central["current"]["id"],
        "OverrideSet": town["overrideSet"]["id"],
        "AuditEntry": town["auditEntries"]["edges"][0]["node"]["id"],
        "Profile of its own": town["overrideSet"]["profile"]["id"],
        "ProfileVersion of its own": town["overrideSet"]["profileVersion"]["id"],
        "AuditEntry of what is central": found["auditEntries"]["edges"][0]["node"]["id"],
    }


NODE: Final = "query ($id: ID!) { node(id: $id) { __typename id } }"


def test_node__of_every_type_that_is_one__is_found_by_its_id(shared_api: Api, nodes: dict[str, str]) -> None:
    possible = shared_api.data('{ __type(name: "Node") { possibleTypes { name } } }')["__type"]["possibleTypes"]
    assert {kind["name"] for kind in possible} == {name.partition(" ")[0] for name in nodes}
    for name, node_id in nodes.items():
        assert shared_api.data(NODE, id=node_id)["node"] == {"__typename": name.partition(" ")[0], "id": node_id}
    assert len(set(nodes.values())) == len(nodes)


def test_node__of_a_town__is_the_town(shared_api: Api, nodes: dict[str, str]) -> None:
    query = "query ($id: ID!) { node(id: $id) { ... on Town { townId name overrideSet { version } } } }"
    town = shared_api.data(query, id=nodes["Town"])["node"]
    assert (town["name"], town["overrideSet"]) == (f"Town {town['townId']}", {"version": 2})


def encoded(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode("utf-8")).decode("ascii").rstrip("=")


GARBAGE: Final[dict[str, str]] = {
    "empty": "",
    "a_town_id": "demo",
    "not_base64": "%%%",
    "not_ascii": "Zoë\u2603",
    "a_nul": "\x00",
    "not_utf8": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "not_json": encoded("["),
    "no_list": encoded({"Town": "demo"}),
    "empty_list": encoded([]),
    "type_only": encoded(["Town"]),
    "unknown_type": encoded(["Query", "demo"]),
    "unknown_town": encoded(["Town", "nowhere"]),
    "number_for_a_town": encoded(["Town", 5]),
    "too_many_parts": encoded(["Town", "nowhere", "nowhere"]),
    "null_part": encoded(["Town", None]),
    "nested_part": encoded(["Town", ["demo"]]),
    "boolean_version": encoded(["OverrideSet", "demo", True]),
    "fraction_version": encoded(["OverrideSet", "demo", 1.0]),
    "huge_version": encoded(["OverrideSet", "demo", 2**70]),
    "negative_version": encoded(["ProfileVersion", "@central", "balanced", -1]),
    "nul_in_a_part": encoded(["Bead", "a\x00b"]),
    "surrogate_in_a_part": encoded('["Bead", "\\ud800"]'),
    "unknown_chain": encoded(["AuditEntry", "nowhere", 1]),
    "entry_zero": encoded(["AuditEntry", "@central", 0]),
    "head_of_the_central_chain": encoded(["Town", "@central"]),
    "deep_json": encoded("[" * 5000),
    "long": "A" * 90_000,
}


@pytest.mark.parametrize("node_id", GARBAGE.values(), ids=GARBAGE)
def test_node__of_an_id_that_stands_for_nothing__is_null(shared_api: Api, node_id: str) -> None:
    assert shared_api.data(NODE, id=node_id) == {"node": None}


def test_node__of_an_id_cut_short__is_null(shared_api: Api, nodes: dict[str, str]) -> None:
    for node_id in nodes.values():
        assert shared_api.data(NODE, id=node_id[:-3]) == {"node": None}
