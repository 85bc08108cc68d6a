"""Whether a resolution costs more in a large installation: a town of a few beads against ten thousand of a million."""

import random
from contextlib import ExitStack
from typing import Final

from bench.questions import hot
from bench.rounds import Target
from bench.stage import BUSY, Costed, Stage
from tests.bulk import add_beads, add_towns, analyze
from tests.tokens import make_token

SMALL: Final = "small"
LARGE: Final = "large"
PART: Final = "part"
BEADS: Final = 12  # of the small one's town
TOWNS: Final = 10_000
BEADS_EACH: Final = 100
ASKED: Final = 20_000  # beads of the large one, chosen at random
PART_TOWNS: Final = 1_000  # of the large one's, less than a process keeps compiled tables of

WARM_SECONDS: Final = 5.0  # at a time, until all that is asked was asked once
WARM_TIMES: Final = 12  # at most


def growing(stage: Stage, *, towns: int = TOWNS) -> Costed:
    """The hot query in both: over all the large one's towns, and over a part of them."""
    chance = random.Random(7)  # noqa: S311  # chooses what is asked, no secret
    names = [f"town-{number}" for number in range(towns)]
    asked = {
        SMALL: [f"small-{number}" for number in range(BEADS)],
        LARGE: [f"{chance.choice(names)}-{chance.randrange(BEADS_EACH)}" for _ in range(ASKED)],
        PART: [f"{chance.choice(names[:PART_TOWNS])}-{chance.randrange(BEADS_EACH)}" for _ in range(ASKED)],
    }
    small, large = stage.databases.fresh("sqlite"), stage.databases.fresh("sqlite")
    add_towns(small, ["small"])
    add_beads(small, ["small"], BEADS)
    add_towns(large, names)
    add_beads(large, names, BEADS_EACH)
    with ExitStack() as stack:
        targets = []
        for name, ids in asked.items():
            url = small if name == SMALL else large
            analyze(url)
            requests = stage.requests(hot(ids), make_token(url, "dispatcher"))
            targets.append(Target(served=stack.enter_context(stage.ours(url, name=name)), requests=requests))
        for target in targets:
            _warm_up(stage, target)
        costed = stage.compared(*targets)
    stage.databases.drop(large)
    return costed


def _warm_up(stage: Stage, target: Target) -> None:
    answers = 0.0
    for _ in range(WARM_TIMES):
        answers += 1e6 * WARM_SECONDS / stage.load.ask(target, connections=BUSY, seconds=WARM_SECONDS).wall
        if answers >= ASKED:
            return
