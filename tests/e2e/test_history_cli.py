"""`townclerk history` and `townclerk diff`: what people read, and what machines get."""

import json
from dataclasses import dataclass, replace
from typing import Final

import pytest

from models.domain.vocabulary import Actor
from tests.chains import FIRST, add_rows, row_of
from tests.client import Api, Json, serving
from tests.databases import Databases
from tests.e2e.process import Finished, townclerk
from tests.e2e.test_cli import assert_could_not
from tests.towns import HAIKU, OPUS, SONNET, make_town, publish, rule

HOSTILE: Final = {
    "markup": ("[bold red]stop[/]", "[bold red]stop[/]"),
    "a link": ("[link=https://a.example]x[/link]", "[link=https://a.example]x[/link]"),
    "markup that ends nothing": ("[/b] [/] \\[", "[/b] [/] \\["),
    "an emoji's name": (":boom:", ":boom:"),
    "a colour": ("\x1b[31mred", "\\x1b[31mred"),
    "a title": ("\x1b]0;mine\x07", "\\x1b]0;mine\\x07"),
    "a single control": ("\x9b2Jgone", "\\x9b2Jgone"),
    "lines": ("one\ntwo\r\nthree", "one\\ntwo\\r\\nthree"),
    "back": ("good\b\b\b\bevil", "good\\x08\\x08\\x08\\x08evil"),
    "right to left": ("\u202egood", "\\u202egood"),
    "a line of another kind": ("one\u2028two", "one\\u2028two"),
    "borders": ("one │ two", "one │ two"),
    "harmless": ("größer — „besser“ ☃", "größer — „besser“ ☃"),
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A database, with a town that went through five versions and one to which hostile things were done."""

    url: str
    town_id: str
    hostile_town: str


@pytest.fixture(scope="module")
def scene(backend: str, databases: Databases) -> Scene:
    url = databases.fresh(backend)
    with serving(url) as api:
        town_id, hostile = make_town(api, rigs=("web",)), make_town(api, rigs=())
        publish(api, town_id, overrides=[rule(SONNET, "MAYOR")])
        select(api, town_id, "frugal", 2)
        publish(api, town_id, honorBeadModels=True, overrides=[rule(OPUS, "MAYOR"), rule(HAIKU, "POLECAT", rig="web")])
        next_own_version(api, town_id, 0, smallModel=HAIKU, rules=[rule(OPUS)], reason="A test says so.")
        rules = [rule(OPUS), rule(SONNET, "POLECAT", "gt:rework")]
        next_own_version(api, town_id, 1, smallModel=SONNET, rules=rules, reason="Better.")
        select(api, town_id, "custom", 4)
        for number, (reason, _) in enumerate(HOSTILE.values()):
            override = {"overrides": [rule((OPUS, SONNET)[number % 2], "MAYOR")]}
            change = {"townId": hostile, "expectedVersion": number + 1, "draft": override, "reason": reason}
            api.done("publishOverrideSet", "__typename", headers={"X-Actor": "[red]me[/]"}, **change)
    return Scene(url=url, town_id=town_id, hostile_town=hostile)


def select(api: Api, town_id: str, profile: str, expected: int) -> None:
    api.done("selectProfile", townId=town_id, expectedVersion=expected, profile=profile, reason=f"To {profile}.")


def next_own_version(api: Api, town_id: str, expected: int, **table: object) -> None:
    api.done("publishProfileVersion", name="custom", townId=town_id, expectedVersion=expected, **table)


def cells(found: Finished) -> list[list[str]]:
    """The rows of a table, without its head."""
    assert (found.code, found.err) == (0, "")
    return [[cell.strip() for cell in line[1:-1].split("│", 5)] for line in found.out.splitlines() if line[0] == "│"]


def asked(url: str, query: str, **variables: str | None) -> Json:
    with serving(url) as api:
        return api.data(query, headers=None, **variables)


# ---- history


def test_history__of_a_town__tells_who_when_what_why_and_which_version(scene: Scene) -> None:
    with serving(scene.url) as api:
        entries = api.entries(scene.town_id, "sequence occurredAt")
    times = {str(each["sequence"]): each["occurredAt"][:19].replace("T", " ") for each in entries}
    found = cells(townclerk(scene.url, "history", "--town", scene.town_id))
    assert [row[1] for row in found] == [times[row[0]] for row in found]
    assert [(row[0], *row[2:]) for row in found] == [
        ("6", "dev", "PROFILE_SELECTED", "4 -> 5", "To custom."),
        ("5", "dev", "OVERRIDE_SET_PUBLISHED", "3 -> 4", "A test says so."),
        ("4", "dev", "PROFILE_SELECTED", "2 -> 3", "To frugal."),
        ("3", "dev", "OVERRIDE_SET_PUBLISHED", "1 -> 2", "A test says so."),
        ("2", "dev", "RIG_REGISTERED web", "", ""),
        ("1", "dev", "TOWN_CREATED", "-> 1", ""),
    ]


def test_history__without_a_town__is_of_what_is_central(scene: Scene) -> None:
    found = cells(townclerk(scene.url, "history"))
    shipped = ("premium", "balanced", "frugal")
    assert [tuple(row[2:]) for row in found] == [
        ("dev", f"PROFILE_VERSION_PUBLISHED {scene.town_id}/custom", "1 -> 2", "Better."),
        ("dev", f"PROFILE_VERSION_PUBLISHED {scene.town_id}/custom", "-> 1", "A test says so."),
        *(("Townclerk", f"PROFILE_VERSION_PUBLISHED {it}", "-> 1", "Shipped with Townclerk.") for it in shipped),
        ("Townclerk", "MODELS_REGISTERED", "", ""),
    ]


def test_history__of_a_few__says_how_to_see_older_ones(scene: Scene) -> None:
    numbers: list[list[str]] = []
    more: list[str] = []
    for _ in range(2):
        found = townclerk(scene.url, "history", "--town", scene.town_id, "--first", "4", *more)
        numbers.append([row[0] for row in cells(found)])
        more = found.out.splitlines()[-1].partition(": ")[2].split()
    assert (numbers, more) == ([["6", "5", "4", "3"], ["2", "1"]], [])


def test_history__as_json__is_what_the_api_answers(scene: Scene) -> None:
    query = """query ($t: ID) { auditEntries(townId: $t, first: 2) {
        edges { cursor node { townId sequence occurredAt actor { actorId displayName onBehalfOf } action targetType
            targetId versionBefore versionAfter reason requestId before after previousHash hash } }
        pageInfo { hasNextPage endCursor } } }"""
    for options, town_id in (([], None), (["--town", scene.hostile_town], scene.hostile_town)):
        found = townclerk(scene.url, "history", "--json", "--first", "2", *options)
        assert (found.code, found.err) == (0, "")
        assert json.loads(found.out) == asked(scene.url, query, t=town_id)["auditEntries"]
        assert (found.out.isascii(), found.out.count("\n")) == (True, 1)


def test_history__of_hostile_text__shows_it_without_obeying_it(scene: Scene) -> None:
    found = townclerk(scene.url, "history", "--town", scene.hostile_town)
    assert [row[5] for row in cells(found)][::-1] == ["", *(shown for _, shown in HOSTILE.values())]
    assert {row[2] for row in cells(found)[:-1]} == {"[red]me[/]"}
    assert [char for char in found.out if not char.isprintable() and char != "\n"] == []


def test_history__of_what_was_done_for_someone__names_both(scene: Scene) -> None:
    with serving(scene.url) as api:
        town_id = make_town(api, rigs=())
    actor = Actor(actor_id="bot", on_behalf_of="[b]anna\x1b[0m")
    add_rows(scene.url, row_of(replace(FIRST, chain=town_id, sequence=2, actor=actor)))
    assert cells(townclerk(scene.url, "history", "--town", town_id))[0][2] == "bot for [b]anna\\x1b[0m"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "arguments",
    [
        ["--town", "nowhere"],
        ["--town", "@central"],
        ["--town", ""],
        ["--first", "0"],
        ["--first", "201"],
        ["--first", "99999999999"],
        ["--after", "nonsense"],
    ],
    ids=" ".join,
)
def test_history__of_what_is_not_there__could_not_be_done(scene: Scene, arguments: list[str]) -> None:
    assert_could_not(townclerk(scene.url, "history", *arguments))


# ---- diff

FROM_2_TO_4: Final = [
    ["profile", "balanced", "frugal"],
    ["bead models honoured", "no", "yes"],
    ["override polecat@web", "none", HAIKU],
    ["override mayor", SONNET, OPUS],
]
OWN_1_TO_2: Final = [["small model", HAIKU, SONNET], ["rule polecat[gt:rework]", "none", SONNET]]


def test_diff__of_two_override_sets__shows_all_that_differs_in_either_direction(scene: Scene) -> None:
    there = cells(townclerk(scene.url, "diff", "--town", scene.town_id, "2", "4"))
    back = cells(townclerk(scene.url, "diff", "--town", scene.town_id, "4", "2"))
    assert there == FROM_2_TO_4
    assert back == [[what, after, before] for what, before, after in FROM_2_TO_4]


def test_diff__over_another_version_of_a_profile__shows_it(scene: Scene) -> None:
    assert cells(townclerk(scene.url, "diff", "--town", scene.town_id, "4", "5")) == [
        ["profile", "frugal", "custom"],
        ["profile version", "1", "2"],
    ]


def test_diff__as_json__is_what_the_api_answers(scene: Scene) -> None:
    query = """query ($t: ID!) { town(townId: $t) { overrideSetAt(asOf: {version: 4}) { diff(against: 2) {
        from to profileBefore profileAfter profileVersionBefore profileVersionAfter
        honorBeadModelsBefore honorBeadModelsAfter changes { key before after } } } } }"""
    found = townclerk(scene.url, "diff", "--town", scene.town_id, "2", "4", "--json")
    assert json.loads(found.out) == asked(scene.url, query, t=scene.town_id)["town"]["overrideSetAt"]["diff"]


def test_diff__of_a_towns_own_profile__shows_rules_and_small_model(scene: Scene) -> None:
    command = ("diff", "--profile", "custom", "--town", scene.town_id)
    assert cells(townclerk(scene.url, *command, "1", "2")) == OWN_1_TO_2
    assert cells(townclerk(scene.url, *command, "2", "1")) == [[what, new, old] for what, old, new in OWN_1_TO_2]
    assert json.loads(townclerk(scene.url, *command, "1", "2", "--json").out) == {
        "name": "custom",
        "from": {"version": 1, "smallModel": HAIKU},
        "to": {
            "version": 2,
            "smallModel": SONNET,
            "diff": [{"key": "polecat[gt:rework]", "before": None, "after": SONNET}],
        },
    }


@pytest.mark.parametrize("options", [[], ["--profile", "balanced"], ["--profile", "custom"]], ids=" ".join)
def test_diff__of_a_version_with_itself__says_that_there_is_none(scene: Scene, options: list[str]) -> None:
    found = townclerk(scene.url, "diff", "1", "1", "--town", scene.town_id, *options)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("No change in ")
    assert found.out.count("\n") == 1


def test_diff__of_a_central_profile__needs_no_town(scene: Scene) -> None:
    found = townclerk(scene.url, "diff", "--profile", "balanced", "1", "1", "--json")
    assert json.loads(found.out)["to"] == {"version": 1, "smallModel": HAIKU, "diff": []}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "arguments",
    [
        ["1", "2"],
        ["--town", "nowhere", "1", "2"],
        ["--town", "", "1", "2"],
        ["--town", "TOWN", "1", "99"],
        ["--town", "TOWN", "99", "1"],
        ["--town", "TOWN", "0", "1"],
        ["--town", "TOWN", "1", "0"],
        ["--town", "TOWN", "1", "99999999999"],
        ["--profile", "nowhere", "1", "1"],
        ["--profile", "custom", "1", "2"],
        ["--profile", "balanced", "1", "2"],
        ["--profile", "balanced", "0", "1"],
        ["--profile", "balanced", "--town", "nowhere", "1", "1"],
        ["--profile", "custom", "--town", "TOWN", "1", "3"],
    ],
    ids=" ".join,
)
def test_diff__of_what_is_not_there__could_not_be_done(scene: Scene, arguments: list[str]) -> None:
    given = [scene.town_id if each == "TOWN" else each for each in arguments]
    assert_could_not(townclerk(scene.url, "diff", *given))


@pytest.mark.parametrize("command", [["history"], ["diff", "--town", "demo", "1", "2"]], ids=" ".join)
def test_command__on_a_database_that_is_not_migrated__could_not_be_done(
    backend: str, databases: Databases, command: list[str]
) -> None:
    assert_could_not(townclerk(databases.empty(backend), *command))
