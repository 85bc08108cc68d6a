"""What the dispatcher's queries cost against a bare route, as `make bench` measures it, with room for a noisy machine.

What a quiet machine shows stands in docs/performance.md. Here it has to be more than the executor reaches, which takes
fourteen times what a bare route takes, and more.
"""

from pathlib import Path
from typing import Final

from bench.figures import BARE_COUNTS
from bench.questions import BATCH, dispatchers, hot
from bench.rounds import Target, client, compare
from bench.stage import BARE, BUSY, OURS, Stage, first_answer
from tests.databases import Databases
from tests.tokens import make_token

ROUNDS: Final = 5
SECONDS: Final = 0.15  # of a round
LEAST: Final = 0.3  # of a bare route's CPU
MOST_OF_A_BEAD: Final = 12  # where a request of the bare route counts for `BARE_COUNTS`
RESOLUTIONS: Final = "`resolutions`"


def test_queries__of_the_dispatcher__cost_little_more_than_a_bare_route(
    backend: str, databases: Databases, tmp_path: Path
) -> None:
    found = {}
    with client() as load:
        stage = Stage(folder=tmp_path, databases=databases, load=load, rounds=ROUNDS, seconds=SECONDS)
        url = stage.filled(backend)
        token = make_token(url, "dispatcher")
        with stage.against_bare(url) as (ours, bare):
            for question in (hot(), *dispatchers()):
                first_answer(ours.served, question, token)
                asked = Target(served=ours.served, requests=stage.requests(question, token))
                costs = compare(load, (asked, bare), connections=BUSY, rounds=ROUNDS, seconds=SECONDS)
                found[question.name] = costs[OURS].cpu_against(costs[BARE])
    of_a_bead = BARE_COUNTS / BATCH / found.pop(RESOLUTIONS)
    assert {name: ratio for name, ratio in found.items() if ratio < LEAST} == {}
    assert of_a_bead < MOST_OF_A_BEAD
