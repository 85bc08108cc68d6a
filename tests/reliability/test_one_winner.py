"""Many writers over two processes, all on one version: one of them makes the next, the others hear of it."""

from contextlib import ExitStack
from functools import partial
from typing import Final

from tests.client import Json
from tests.contract.recipes import at_once
from tests.e2e.process import Server
from tests.reliability.load import PUBLISH, publication
from tests.reliability.stored import sets, verified
from tests.reliability.wire import Client, Hall
from tests.sizes import report, sized
from tests.towns import KILO, SONNET, make_town, rule

WRITERS: Final = 64
ROUNDS: Final = sized("rounds", quick=1, ci=3, full=100)


def test_writers__on_one_expected_version_to_two_processes__have_one_winner_a_round(
    pair: tuple[Server, Server], database_url: str, backend: str
) -> None:
    town, hall = make_town(pair[0].api, rigs=()), Hall(*pair)
    with ExitStack() as stack:
        clients = [Client(hall, f"writer-{number}") for number in range(WRITERS)]
        for client in clients:
            stack.callback(client.close)

        def write(number: int, base: int) -> Json:
            given = publication(town, base, {"overrides": [rule((SONNET, KILO)[base % 2], "MAYOR")]})
            answer: Json = clients[number].ask(number % 2, PUBLISH, given)["data"]["it"]
            return answer

        for base in range(1, ROUNDS + 1):
            answers = at_once([partial(write, number, base) for number in range(WRITERS)])
            assert [answer["overrideSet"]["version"] for answer in answers if not answer["userErrors"]] == [base + 1]
            refusals = [answer for answer in answers if answer["userErrors"]]
            assert [answer["userErrors"] for answer in refusals] == [[{"code": "VERSION_CONFLICT"}]] * (WRITERS - 1)
            assert {answer["currentVersion"] for answer in refusals} == {base + 1}
    found = sets(database_url, [town])
    assert sorted(found.hashes) == [(town, version) for version in range(1, ROUNDS + 2)]
    assert {key: len(requests) for key, requests in found.requests.items()} == {
        (town, version): 1 for version in range(2, ROUNDS + 2)
    }
    counts = {"rounds": ROUNDS, "writers": WRITERS, "winners": ROUNDS, "VERSION_CONFLICT": ROUNDS * (WRITERS - 1)}
    report("One winner a round", backend, counts | {"lost": 0, "entries verified": verified(database_url)})
