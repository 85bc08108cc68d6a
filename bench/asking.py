"""What a request costs: the dispatcher's queries and others, against a bare route and against Strawberry's defaults."""

from contextlib import ExitStack
from typing import Final

from bench.questions import BATCH, HOT, TOWNS, Question, bead_ids, dispatchers, others
from bench.rounds import Target
from bench.stage import Stage
from bench.table import RATIO_COLUMNS, Goal, Row, Table, ratio

DEFAULTS: Final = "Strawberry's defaults"
KEEPING: Final = "defaults that keep compiled tables"


def hot_query(stage: Stage) -> Table:
    """The dispatcher's query, strict, through the whole door."""
    rows: list[Row] = []
    for backend, called, gate in (("sqlite", "SQLite", 0.85), ("postgresql", "PostgreSQL", 0.8)):
        url = stage.filled(backend)
        with ExitStack() as stack:
            targets = stack.enter_context(stage.against_bare(url))
            for name in (DEFAULTS, KEEPING):
                served = stack.enter_context(stage.defaults(url, keeps_tables=name == KEEPING, name=name))
                targets.append(Target(served=served, requests=targets[0].requests))
            costed = stage.compared(*targets)
        rows += [
            ratio(called, costed, goal=Goal(gate=gate, stretch=1)),
            ratio(f"{called}, against {DEFAULTS}", costed, against=DEFAULTS, goal=Goal(gate=40, stretch=80)),
            ratio(f"{called}, against {KEEPING}", costed, against=KEEPING),
        ]
    with stage.against_bare(stage.filled("postgresql"), workers=2) as targets:
        rows.append(ratio("PostgreSQL, 2 workers", stage.compared(*targets), goal=Goal(gate=0.8, stretch=1)))
    return Table(
        heading="The hot query",
        columns=RATIO_COLUMNS,
        rows=tuple(rows),
        about=f"`{HOT}`, each time for another of {len(bead_ids()):,} beads in {len(TOWNS)} towns of twenty overrides. "
        "The defaults are what one would write without care (`bench/defaults.py`): Strawberry's ASGI application as it "
        "comes, with a session for each request and no token, which loads the town's set each time, or keeps it "
        "compiled as Townclerk does. Two workers are not kept to a core, and neither is PostgreSQL.",
    )


def dispatchers_others(stage: Stage) -> Table:
    """What else the dispatcher asks."""
    return Table(
        heading="The dispatcher's other queries, SQLite",
        columns=RATIO_COLUMNS,
        rows=tuple(_against_bare(stage, question) for question in dispatchers()),
        about=f"`resolutions` asks for {BATCH} beads at once.",
    )


def other_queries(stage: Stage) -> Table:
    """Queries that take the common way, their documents cached."""
    goal = Goal(gate=0.15, stretch=0.3)
    return Table(
        heading="Any other query, SQLite",
        columns=RATIO_COLUMNS,
        rows=tuple(_against_bare(stage, question, goal) for question in others()),
    )


def _against_bare(stage: Stage, question: Question, goal: Goal | None = None) -> Row:
    with stage.against_bare(stage.filled("sqlite"), question) as targets:
        return ratio(question.name, stage.compared(*targets), goal=goal)
