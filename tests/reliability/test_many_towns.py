"""A profile's version comes to very many towns, while its publisher is killed and the towns are asked."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from random import Random
from threading import Event
from typing import Final

from sqlmodel import col, select

from models.domain.audit import CENTRAL_CHAIN, AuditAction
from models.services.rollout import BATCH
from models.store.audit import AuditEntryRow
from models.store.mayor import MayorSignalRow
from models.store.policies import OverrideSetRow
from models.store.unit import Store
from tests.bulk import add_towns
from tests.chains import with_store
from tests.client import Api, Json, serving
from tests.contract.recipes import profile_input
from tests.e2e.process import serving_process
from tests.reliability import planted
from tests.reliability.stored import verified
from tests.reliability.wire import Client, Hall, NoAnswerError, error_code
from tests.sizes import SECONDS, report, sized
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, publish, rule

TOWNS: Final = sized("towns", quick=150, ci=300, full=10_000)
OF_EACH_KIND: Final = TOWNS // 50
READERS: Final = 2
NEVER: Final = 3600.0  # seconds between two looks of a process for rollouts to finish: only as it starts
PROFILE: Final = "balanced"

PUBLISH: Final = """mutation ($input: PublishProfileVersionInput!) { publishProfileVersion(input: $input) {
    currentVersion townsFollowing townsUpdated mayorRestartsSignalled userErrors { code }
} }"""
REGISTER: Final = "mutation ($input: RegisterRigInput!) { registerRig(input: $input) { userErrors { code } } }"
DUE: Final = f'{{ profile(name: "{PROFILE}") {{ current {{ townsDue }} }} }}'
READ: Final = """query ($t: ID!) { taskResolution(townId: $t, task: {role: MAYOR}) {
    overrideSetVersion profileVersion model smallModel matchedRule { source }
} }"""


@dataclass(frozen=True, kw_only=True)
class Towns:
    """Those that only follow, those with a mayor of their own, those whose mayor runs on the new pair already.

    `plain` are many and have no entries of how they were made; the others are whole.
    """

    plain: Sequence[str]
    whole: Sequence[str]
    overriding: Sequence[str]
    restarted: Sequence[str]

    @property
    def all(self) -> list[str]:
        return [*self.plain, *self.whole, *self.overriding, *self.restarted]

    @property
    def signalled(self) -> set[str]:
        return {*self.plain, *self.whole}


def make_towns(api: Api) -> Towns:
    plain = [f"plain-{number:05}" for number in range(TOWNS - 3 * OF_EACH_KIND)]
    add_towns(api.url, plain)
    whole, overriding, restarted = ([make_town(api, rigs=()) for _ in range(OF_EACH_KIND)] for _ in range(3))
    for town in overriding:
        publish(api, town, overrides=[rule(SONNET, "MAYOR")])
        api.done("detectMayorChange", townId=town, observed={"model": SONNET, "smallModel": HAIKU})
    for town in restarted:  # which is too early, and signalled until the rollout comes
        api.done("detectMayorChange", townId=town, observed={"model": KILO, "smallModel": HAIKU})
    return Towns(plain=plain, whole=whole, overriding=overriding, restarted=restarted)


def test_rollout__to_very_many_towns__is_finished_by_another_when_its_process_is_killed(
    database_url: str, backend: str
) -> None:
    with serving(database_url, rollout_interval_seconds=NEVER) as api:
        towns = make_towns(api)
    with ExitStack() as stack:
        # its name, the version, and about half of the batches
        dies = partial(planted.death_after, commits=2 + TOWNS // BATCH // 2)
        publisher = stack.enter_context(
            serving_process(database_url, plant=dies, rollout_interval_seconds=NEVER, request_seconds=NEVER)
        )
        reader = stack.enter_context(
            serving_process(database_url, rollout_interval_seconds=NEVER, request_seconds=NEVER)
        )
        pool, over = stack.enter_context(ThreadPoolExecutor(READERS + 1)), Event()
        stack.callback(over.set)
        readers = [pool.submit(read, Hall(reader), towns, over, Random(number)) for number in range(READERS)]
        writer = pool.submit(write, Hall(reader), towns.whole, over)
        given = profile_input(PROFILE, 1, mayor=KILO, idempotencyKey="the-rollout")
        assert send(Hall(publisher), given) is None, "it was through before it was killed"
        left = due(reader.api)
        assert 0 < left < TOWNS
        assert (TOWNS - left) % BATCH == 0, "of the batch under way nothing is left"
        finisher = stack.enter_context(
            serving_process(database_url, rollout_interval_seconds=NEVER, request_seconds=NEVER)
        )
        await_finished(reader.api, left)
        over.set()
        reads = sum(each.result(SECONDS) for each in readers)
        writes = writer.result(SECONDS)
        assert send(Hall(finisher), given) == {
            "currentVersion": 2,
            "townsFollowing": TOWNS,
            "townsUpdated": TOWNS,
            "mayorRestartsSignalled": len(towns.signalled),
            "userErrors": [],
        }
    assert_moved_once(database_url, towns)
    entries = verified(database_url, {CENTRAL_CHAIN, *towns.whole, *towns.overriding, *towns.restarted})
    counts = {"towns updated once": TOWNS, "of them after the kill": left, "signals": len(towns.signalled)}
    counts |= {
        "reads meanwhile": reads,
        "wrong reads": 0,
        "other writes meanwhile": writes,
        "entries verified": entries,
    }
    report("A profile's version for very many towns", backend, counts)


def send(hall: Hall, given: Json) -> Json | None:
    """The payload of the publish; None where its server went away."""
    client = Client(hall, "publisher", SECONDS + TOWNS / 10)
    try:
        answer = client.ask(0, PUBLISH, {"input": given})
    except NoAnswerError:
        return None
    finally:
        client.close()
    assert error_code(answer) is None
    payload: Json = answer["data"]["publishProfileVersion"]
    return payload


def due(api: Api) -> int:
    found: int = api.data(DUE)["profile"]["current"]["townsDue"]
    return found


def await_finished(api: Api, left: int) -> None:
    """Wait until no town is due; some have to be moved all the time."""
    deadline = time.monotonic() + SECONDS
    while left:
        now = due(api)
        if now < left:
            left, deadline = now, time.monotonic() + SECONDS
        assert time.monotonic() < deadline, f"{left} towns are still due"


def read(hall: Hall, towns: Towns, over: Event, random: Random) -> int:
    """Ask one town after the other until all is over; each answer has to be right. Gives how many there were."""
    client, everywhere, overriding = Client(hall, f"reader-{random.random()}"), towns.all, set(towns.overriding)
    newest: dict[str, int] = {}
    reads = 0
    while not over.is_set():
        town = random.choice(everywhere)
        answer = client.ask(0, READ, {"t": town})
        assert error_code(answer) is None
        found = answer["data"]["taskResolution"]
        version = found["profileVersion"]
        assert version >= newest.get(town, 1)
        newest[town] = version
        first = 2 if town in overriding else 1
        assert found == {
            "overrideSetVersion": first + version - 1,
            "profileVersion": version,
            "model": SONNET if town in overriding else (OPUS, KILO)[version - 1],
            "smallModel": HAIKU,
            "matchedRule": {"source": "OVERRIDE" if town in overriding else "PROFILE"},
        }
        reads += 1
    client.close()
    return reads


def write(hall: Hall, towns: Sequence[str], over: Event) -> int:
    """Register rigs until all is over, each under a name that is new; none may be refused. Gives how many."""
    writes = 0
    while not over.is_set():
        client = Client(hall, f"newcomer-{writes}")
        given = {"townId": towns[writes % len(towns)], "rigId": f"rig-{writes}", "name": "Rig"}
        answer = client.ask(0, REGISTER, {"input": given})
        client.close()
        assert error_code(answer) is None
        assert answer["data"]["registerRig"]["userErrors"] == []
        writes += 1
    return writes


def assert_moved_once(url: str, towns: Towns) -> None:
    """Each town has one set over the new version, with one entry, and a signal where its mayor's pair moved."""

    async def work(store: Store) -> tuple[list[str], list[str], list[MayorSignalRow]]:
        async with store.read() as session:
            over_new = select(OverrideSetRow.town_id).where(OverrideSetRow.profile_version == 2)
            adopted = col(AuditEntryRow.action) == AuditAction.PROFILE_VERSION_ADOPTED
            sets = await session.exec(over_new)
            entries = await session.exec(select(AuditEntryRow.chain).where(adopted))
            return list(sets), list(entries), list(await session.exec(select(MayorSignalRow)))

    sets, entries, signals = with_store(url, work)
    assert sorted(sets) == sorted(entries) == sorted(towns.all)
    opened = [signal for signal in signals if signal.closed_at is None]
    assert sorted(signal.town_id for signal in opened) == sorted(towns.signalled)
    assert {(signal.sequence, signal.before_model, signal.after_model) for signal in opened} == {(1, OPUS, KILO)}
    closed = sorted((signal.town_id, str(signal.closed_because)) for signal in signals if signal.closed_at is not None)
    assert closed == sorted(
        [*((it, "observed") for it in towns.overriding), *((it, "cancelled") for it in towns.restarted)]
    )
