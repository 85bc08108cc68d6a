"""Pages of audit entries out of a long history: the right ones, and found by an index whatever they are narrowed by."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Any, Final

import asyncpg
import pytest

from models.domain.audit import TARGET_TYPES, AuditAction, Change, instant_text
from tests.bulk import TICK, Told, add_entries, add_history, add_towns, analyze
from tests.client import Api, Json, serving
from tests.contract.recipes import RECIPES, send
from tests.contract.test_statements import Watched, plan, watched
from tests.databases import Databases
from tests.sizes import sized
from tests.statements import Statement

TOWN: Final = "eventful"
ENTRIES: Final = sized("entries", quick=6_000, ci=20_000)
FILTERS: Final = sized("filters", quick=3, ci=12)  # at random, for each seed
PAGE: Final = """
query ($filter: AuditFilter, $first: Int, $after: String) {
  auditEntries(townId: "eventful", filter: $filter, first: $first, after: $after) {
    edges { node { sequence } } pageInfo { hasNextPage endCursor }
  }
}
"""
ACTIONS: Final = list(AuditAction)
ACTORS: Final = [f"actor-{number}" for number in range(12)]
KEY: Final = ("pk_audit_entries", "sqlite_autoindex_audit_entries_1")
BY_ACTION: Final = "ix_audit_entries_chain_action_sequence"
BY_ACTOR: Final = "ix_audit_entries_chain_actor_id_action_sequence"
BY_TARGET: Final = "ix_audit_entries_chain_target_id_action_sequence"
BY_REQUEST: Final = "ix_audit_entries_chain_request_id_sequence"
BY_INSTANT: Final = "ix_audit_entries_chain_occurred_at"
# What a page may be narrowed by, and the index that each look at the entries has to use but for the primary key.
NARROWED: Final[dict[str, tuple[Json, str | None]]] = {
    "nothing": ({}, None),
    "an action": ({"actions": ["RIG_REMOVED"]}, BY_ACTION),
    "two actions": ({"actions": ["RIG_REMOVED", "TOWN_CREATED"]}, BY_ACTION),
    "an action that is rare": ({"actions": ["MODEL_DEPRECATED"]}, BY_ACTION),
    "a kind of target": ({"targetType": "override_set"}, BY_ACTION),
    "an actor": ({"actorIds": ["actor-3"]}, BY_ACTOR),
    "an actor who is not there": ({"actorIds": ["nobody"]}, BY_ACTOR),
    "many actors": ({"actorIds": [f"actor-{number}" for number in range(1000)]}, BY_ACTOR),
    "a target": ({"targetId": "target-3"}, BY_TARGET),
    "a target that is not there": ({"targetId": "nowhere"}, BY_TARGET),
    "a request": ({"requestId": "request-3"}, BY_REQUEST),
    "a request that is not there": ({"requestId": "none"}, BY_REQUEST),
    "since": ({"since": "2026-01-01T00:00:05Z"}, BY_INSTANT),
    "until": ({"until": "2026-01-01T00:00:05Z"}, BY_INSTANT),
    "both": ({"since": "2026-01-01T00:00:04Z", "until": "2026-01-01T00:00:05Z"}, BY_INSTANT),
}
USED: Final = re.compile(r"(?:SEARCH audit_entries USING (?:COVERING )?INDEX|Scan (?:Backward )?using) (\w+)")
READ_THROUGH: Final = re.compile(r"SCAN audit_entries|Seq Scan|Bitmap|Sort Key: audit_entries|Filter: .*(actor|action)")


@dataclass(frozen=True, kw_only=True)
class Noted:
    """An entry of the history, as the test knows it."""

    sequence: int
    at: datetime
    told: Told


def told(random: Random) -> Iterator[Told]:
    """Changes of all kinds; some actors are busier than others, and the last action is one in a thousand."""
    frequent = [action for action in ACTIONS if action is not AuditAction.MODEL_DEPRECATED]
    for number in range(ENTRIES):
        action = AuditAction.MODEL_DEPRECATED if number % 1000 == 0 else random.choice(frequent)
        target_id = f"target-{random.randrange(30)}"
        yield Told(
            actor_id=ACTORS[int(len(ACTORS) * random.random() ** 3)],
            request_id=f"request-{random.randrange(number // 4 + 1)}",
            change=Change(action=action, target_type=TARGET_TYPES[action], target_id=target_id),
        )


@dataclass(frozen=True, kw_only=True)
class History:
    """A town's long history, newest first, in a database."""

    url: str
    noted: Sequence[Noted]

    @classmethod
    def build(cls, url: str) -> "History":
        add_towns(url, [TOWN])
        all_told = list(told(Random(1)))  # noqa: S311  # no secret
        add_history(url, TOWN, all_told)
        began = datetime.fromisoformat("2026-01-01T00:00:00Z")  # when `add_towns` makes its towns
        noted = [Noted(sequence=n, at=began + n * TICK, told=each) for n, each in enumerate(all_told, start=1)]
        return cls(url=url, noted=noted[::-1])

    def sequences(self, narrowed: Json) -> Iterator[int]:
        """Those that meet all of a filter, newest first: the plain way."""
        return (each.sequence for each in self.noted if all(test(each) for test in conditions(narrowed)))


def conditions(narrowed: Json) -> list[Callable[[Noted], bool]]:
    known: dict[str, Callable[[Noted, Any], bool]] = {
        "actions": lambda each, names: each.told.change.action.name in names,
        "actorIds": lambda each, actor_ids: each.told.actor_id in actor_ids,
        "targetType": lambda each, kind: each.told.change.target_type.value == kind,
        "targetId": lambda each, target_id: each.told.change.target_id == target_id,
        "requestId": lambda each, request_id: each.told.request_id == request_id,
        "since": lambda each, instant: each.at >= datetime.fromisoformat(instant),
        "until": lambda each, instant: each.at < datetime.fromisoformat(instant),
    }
    return [lambda each, name=name, value=value: known[name](each, value) for name, value in narrowed.items()]  # type: ignore[misc]


@pytest.fixture(scope="module")
def history(backend: str, databases: Databases) -> History:
    made = History.build(databases.fresh(backend))
    if backend == "postgresql":
        analyze(made.url)  # as its autovacuum does in time
    return made


@pytest.fixture(scope="module")
def urls(history: History, backend: str, databases: Databases) -> dict[str, str]:
    """Histories, by what their statistics have a database expect."""
    made = {name: databases.fresh(backend) for name in ("monotonous", "not looked at")}
    for name, url in made.items():
        add_towns(url, [TOWN])
        add_entries(url, TOWN, ENTRIES)
        if backend == "postgresql" and name == "monotonous":
            analyze(url)
    return {"varied": history.url, **made}


@pytest.fixture(scope="module")
def townclerk(history: History) -> Iterator[Api]:
    with serving(history.url) as api:
        yield api


def walked(api: Api, narrowed: Json | None, *, size: int, pages: int) -> tuple[list[int], bool]:
    """The sequences on the first pages, and whether there are more."""
    found: list[int] = []
    page: Json = {"endCursor": None}
    for _ in range(pages):
        connection = api.data(PAGE, filter=narrowed, first=size, after=page["endCursor"])["auditEntries"]
        found += [edge["node"]["sequence"] for edge in connection["edges"]]
        page = connection["pageInfo"]
        if not page["hasNextPage"]:
            break
    return found, page["hasNextPage"]


def assert_pages(history: History, api: Api, narrowed: Json, *, size: int = 20, pages: int = 3) -> None:
    expected = list(islice(history.sequences(narrowed), size * pages + 1))
    assert walked(api, narrowed, size=size, pages=pages) == (expected[: size * pages], len(expected) > size * pages)


@pytest.mark.parametrize("name", NARROWED)
def test_page__narrowed_by_one_thing__is_the_newest_that_meet_it(history: History, townclerk: Api, name: str) -> None:
    assert_pages(history, townclerk, NARROWED[name][0])


def random_filter(random: Random) -> Json:
    """Up to four things to narrow by, some of which nothing meets."""
    began = datetime.fromisoformat("2026-01-01T00:00:00Z")
    since, until = sorted(began + timedelta(milliseconds=random.randrange(-99, ENTRIES + 99)) for _ in range(2))
    possible: Json = {
        "actions": [action.name for action in random.choices(ACTIONS, k=random.randrange(5))],
        "actorIds": random.choices([*ACTORS, "nobody"], k=random.choice((0, 1, 2, 20))),
        "targetType": random.choice(["town", "rig", "override_set", "model", "nothing"]),
        "targetId": f"target-{random.randrange(32)}",
        "requestId": f"request-{random.randrange(400)}",
        "since": instant_text(since),
        "until": instant_text(until),
    }
    return {name: possible[name] for name in random.sample(sorted(possible), random.randrange(5))}


@pytest.mark.parametrize("seed", range(8))
def test_page__narrowed_at_random__is_the_newest_that_meet_all_of_it(
    history: History, townclerk: Api, seed: int
) -> None:
    random = Random(seed)  # noqa: S311  # no secret
    for _ in range(FILTERS):
        assert_pages(history, townclerk, random_filter(random), size=random.choice((1, 7, 50)), pages=3)


@pytest.mark.parametrize("name", ["nothing", "an action", "two actions", "an actor", "many actors", "a target"])
def test_pages__walked_to_the_end__are_all_that_meet_it(history: History, townclerk: Api, name: str) -> None:
    narrowed = {**NARROWED[name][0], "until": "2026-01-01T00:00:01Z"}
    found, more = walked(townclerk, narrowed, size=200, pages=ENTRIES)
    assert (found, more) == (list(history.sequences(narrowed)), False)


@pytest.mark.parametrize("spread", ["varied", "monotonous", "not looked at"])
def test_page__out_of_a_long_history__is_found_by_the_index_for_it(urls: dict[str, str], spread: str) -> None:
    url = urls[spread]
    with watched(url) as townclerk:
        sent = {name: two_pages(townclerk, narrowed) for name, (narrowed, _) in NARROWED.items()}
    steps = {name: [plans(url, statements) for statements in pages] for name, pages in sent.items()}
    used = {name: [indices(page) for page in pages] for name, pages in steps.items()}
    assert used == {name: [{index} - {None}] * 2 for name, (_, index) in NARROWED.items()}, steps
    read_through = {
        name: [each for page in pages for each in page if READ_THROUGH.search(each)] for name, pages in steps.items()
    }
    assert {name: found for name, found in read_through.items() if found} == {}


def two_pages(townclerk: Watched, narrowed: Json) -> list[list[Statement]]:
    """The statements of a first page and of one further on."""
    cursor = townclerk.api.data(PAGE, filter=narrowed, first=3)["auditEntries"]["pageInfo"]["endCursor"]
    return [townclerk.statements(PAGE, filter=narrowed, first=50, after=after) for after in (None, cursor)]


def indices(steps: Sequence[str]) -> set[str]:
    """The indices that entries are looked for by, but for the primary key."""
    return {found[1] for step in steps if (found := USED.search(step))} - set(KEY)


def plans(url: str, statements: Sequence[Statement]) -> list[str]:
    """How the database goes about the statements of a request that look at entries, a line a step."""
    if url.startswith("sqlite"):
        return [step for each in statements if "audit_entries" in each.text for step in plan(url, each)]

    async def explain() -> list[str]:
        connection = await asyncpg.connect(url)
        steps = []
        try:
            async with connection.transaction():
                for each in statements:
                    if "audit_entries" in each.text:
                        steps += await connection.fetch(f"EXPLAIN {each.text}", *each.parameters)
                    else:
                        await connection.fetch(each.text, *each.parameters)  # among them how to plan
        finally:
            await connection.close()
        return [row[0] for row in steps]

    return asyncio.run(explain())


def test_page__of_any_filter__takes_a_few_statements(history: History) -> None:
    with watched(history.url) as townclerk:
        taken = {name: len(townclerk.statements(PAGE, filter=it, first=50)) for name, (it, _) in NARROWED.items()}
    assert max(taken.values()) <= 6, taken


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_target_type__of_each_entry__is_the_one_of_its_action(shared_api: Api, recipe: Any) -> None:
    call = recipe.prepare(shared_api)
    send(shared_api, recipe.mutation, call)
    chains = ([call.town_id] if recipe.town else []) + ([None] if recipe.central else [])
    for chain in chains:
        for entry in shared_api.entries(chain, "action targetType"):
            assert entry["targetType"] == TARGET_TYPES[AuditAction[entry["action"]]].value
