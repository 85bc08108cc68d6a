"""Clocks that are set back: what came later stays later, and a look back finds what was in force."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Final

from tests.client import Api, Json, SteppingClock, serving
from tests.contract.recipes import profile_input
from tests.reliability.stored import verified
from tests.sizes import report, sized
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, publish, rule, sync

WRITES: Final = sized("clock_writes", quick=6, ci=24, full=400)
HOUR: Final = timedelta(hours=1)
TICK: Final = timedelta(microseconds=1)
NEVER: Final = 3600.0  # seconds between two looks for rollouts to finish
PROFILE: Final = "tidal"
BEAD: Final = "tidal-bead"
LABELS: Final = ("gt:rework", "gt:triage")


@dataclass(frozen=True, kw_only=True)
class State:
    """How the town and its bead stood after a write."""

    version: int
    profile_version: int
    model: str
    matched: str


AS_OF: Final = f"""query ($asOf: AsOf, $set: AsOf!) {{
    resolution(beadId: "{BEAD}", asOf: $asOf) {{ overrideSetVersion profileVersion model matchedRule {{ key }} }}
    bead(beadId: "{BEAD}") {{ town {{ overrideSetAt(asOf: $set) {{ version }} }} }}
}}"""
NOW: Final = f"""{{
    resolution(beadId: "{BEAD}") {{ overrideSetVersion profileVersion model matchedRule {{ key }} }}
}}"""


def state_of(resolution: Json) -> State:
    return State(
        version=resolution["overrideSetVersion"],
        profile_version=resolution["profileVersion"],
        model=resolution["model"],
        matched=resolution["matchedRule"]["key"],
    )


def state_at(api: Api, at: datetime) -> State:
    """How the town and its bead stood at an instant, by all doors."""
    as_of = {"at": at.isoformat()}
    found = api.data(AS_OF, asOf=as_of, set=as_of)
    state = state_of(found["resolution"])
    assert found["bead"]["town"]["overrideSetAt"] == {"version": state.version}
    return state


def last_instant(api: Api, town_id: str) -> datetime:
    return datetime.fromisoformat(api.entries(town_id, "occurredAt")[0]["occurredAt"])


def change(api: Api, town_id: str, number: int, random: Random) -> None:
    """One write to the town or its bead."""
    model = (OPUS, SONNET, HAIKU, KILO)[number % 4]
    match random.randrange(4):
        case 0:
            sync(api, town_id, {"beadId": BEAD, "labels": [LABELS[number % 2], f"other-{number}"]})
        case 1:
            query = f'{{ profile(name: "{PROFILE}") {{ current {{ version }} }} }}'
            latest = api.data(query)["profile"]["current"]["version"]
            rules = [rule(SONNET), rule(model, "POLECAT", LABELS[number % 2]), rule(f"tidal/{number}", "MAYOR")]
            api.done("publishProfileVersion", **profile_input(PROFILE, latest, rules=rules))
        case 2:
            observed = {"model": f"seen/{number}", "smallModel": HAIKU}
            api.done("detectMayorChange", townId=town_id, observed=observed)
        case _:
            overrides = [rule(model, "POLECAT", LABELS[number // 2 % 2]), rule(f"tidal/{number}", "REFINERY")]
            publish(api, town_id, overrides=overrides)


def test_clock__set_back_an_hour_again_and_again__leaves_order_and_looks_back_right(
    database_url: str, backend: str
) -> None:
    """Two processes with clocks of their own write in turns: one is an hour slow, and both are set back on the way."""
    clock, slow = SteppingClock(), SteppingClock()
    slow.now -= HOUR
    random, course = Random(backend), list[tuple[datetime, State]]()
    with (
        serving(database_url, clock=clock, rollout_interval_seconds=NEVER) as one,
        serving(database_url, clock=slow, rollout_interval_seconds=NEVER) as other,
    ):
        models = [{"modelId": f"tidal/{number}"} for number in range(WRITES)]
        query = "mutation ($models: [ModelInput!]!) { registerModels(models: $models) { userErrors { code } } }"
        one.data(query, models=models)
        one.done("publishProfileVersion", **profile_input(PROFILE, 0))
        town_id = make_town(one, rigs=(), profile=PROFILE)
        sync(one, town_id, {"beadId": BEAD})
        set_back = 0
        for number in range(WRITES):
            api = (one, other)[random.randrange(2)]
            if random.random() < 0.2:
                clock.now -= HOUR
                slow.now -= HOUR
                set_back += 1
            change(api, town_id, number, random)
            course.append((last_instant(api, town_id), state_of(api.data(NOW)["resolution"])))
        assert all(earlier < later for (earlier, _), (later, _) in pairwise(course))
        for api in (one, other):
            assert [state_at(api, at) for at, _ in course] == [state for _, state in course]
            assert [state_at(api, at - TICK) for at, _ in course[1:]] == [state for _, state in course[:-1]]
        versions = [state.version for _, state in course]
        assert versions == sorted(versions)
        assert_in_order(one, town_id)
        assert_in_order(other, None)
    counts = {"writes": WRITES, "times set back by an hour": set_back, "instants looked back at": 4 * WRITES - 2}
    report("A clock set back", backend, counts | {"out of order": 0, "entries verified": verified(database_url)})


def assert_in_order(api: Api, town_id: str | None) -> None:
    """The newest entries of a chain are later, each than the one before."""
    entries = api.entries(town_id, "sequence occurredAt")[::-1]
    assert all(one["sequence"] + 1 == other["sequence"] for one, other in pairwise(entries))
    instants = [datetime.fromisoformat(entry["occurredAt"]) for entry in entries]
    assert all(one < other for one, other in pairwise(instants))
    if town_id is not None:
        query = """query ($t: ID!) { town(townId: $t) { mayor { signals(first: 200) { edges { node {
            raisedAt closedAt
        } } } } } }"""
        edges = api.data(query, t=town_id)["town"]["mayor"]["signals"]["edges"][::-1]
        for edge in edges:
            closed = edge["node"]["closedAt"]
            raised = datetime.fromisoformat(edge["node"]["raisedAt"])
            assert closed is None or raised < datetime.fromisoformat(closed)
