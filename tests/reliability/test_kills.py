"""Servers are killed in the middle of writes: what was acknowledged stays, and a retry finds out what became of it."""

import random
import time
from functools import partial
from typing import Final

from tests.contract.recipes import at_once
from tests.reliability.checker import check
from tests.reliability.fleet import Fleet, fleet_of
from tests.reliability.load import TASKS, Load, Reply, insist, prepare, publication
from tests.reliability.stored import sets, verified
from tests.reliability.wire import Client
from tests.sizes import report, sized
from tests.towns import KILO, SONNET, make_town, rule

CLIENTS: Final = 6
TOWNS: Final = 4
KILLS: Final = sized("kills", quick=2, ci=8, full=100)
TRIES: Final = 32
ONE_KEY_KILLS: Final = sized("one_key_kills", quick=1, ci=2, full=20)
A_WRITE: Final = 0.03  # seconds that one takes under this load, or less


def test_kill__of_servers_in_the_middle_of_writes__loses_nothing(database_url: str, backend: str) -> None:
    moments = random.Random(backend)
    with fleet_of(database_url, 2) as fleet:
        load = Load(hall=fleet.hall, towns=prepare(fleet.servers[0].api, TOWNS), patient=True)
        with load.running(CLIENTS):
            for number in range(KILLS):
                load.until_begun(CLIENTS)
                time.sleep(moments.uniform(0, A_WRITE))  # anywhere in a write
                fleet.replace(number % 2)
    assert check(load.history, TASKS) == []
    found = sets(database_url, load.towns)
    assert found.lost(load.acknowledged) == []
    assert len(found.requests) == len(load.acknowledged), "what nobody was told of was written"
    in_doubt = [made for made in load.acknowledged if made.attempts > 1]
    counts = {"kills": KILLS, "acknowledged publishes": len(load.acknowledged), "first left unanswered": len(in_doubt)}
    counts |= {"of them written all the same": found.made_unheard(in_doubt), "lost": 0}
    report("Servers killed mid-write", backend, counts | {"entries verified": verified(database_url)})


def test_key__sent_by_many_while_their_server_is_killed__has_one_effect_and_one_answer(
    database_url: str, backend: str
) -> None:
    with fleet_of(database_url, 2) as fleet:
        town = make_town(fleet.servers[0].api, rigs=())
        for base in range(1, ONE_KEY_KILLS + 1):
            replies = tries_while_killed(fleet, town, base)
            payloads = [reply.answer["data"]["it"] for reply in replies]
            assert payloads == [payloads[0]] * TRIES
            assert (payloads[0]["userErrors"], payloads[0]["overrideSet"]["version"]) == ([], base + 1)
    found = sets(database_url, [town])
    assert [len(requests) for requests in found.requests.values()] == [1] * ONE_KEY_KILLS
    counts = {"kills": ONE_KEY_KILLS, "tries each with one key": TRIES, "effects": len(found.requests), "lost": 0}
    report("One key sent by many, and a kill", backend, counts | {"entries verified": verified(database_url)})


def tries_while_killed(fleet: Fleet, town: str, base: int) -> list[Reply]:
    """The replies to one publish sent by many at once, one of whose servers is killed meanwhile."""
    given = publication(town, base, {"overrides": [rule((SONNET, KILO)[base % 2], "MAYOR")]}, f"key-{base}")

    def send(number: int) -> Reply | None:
        if number == TRIES:
            time.sleep(random.uniform(0, A_WRITE))  # anywhere in the write
            fleet.replace(base % 2)
            return None
        client = Client(fleet.hall, "the-same")
        try:
            return insist(client, fleet.hall, number, given, f"try-{number}")
        finally:
            client.close()

    return [reply for reply in at_once([partial(send, number) for number in range(TRIES + 1)]) if reply is not None]
