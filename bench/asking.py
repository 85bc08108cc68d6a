"""What a request costs: the dispatcher's queries and others, against a bare route and against Strawberry's defaults."""

from contextlib import ExitStack
from typing import Final

from bench.questions import BATCH, Question, dispatchers, others
from bench.report import RATIO_COLUMNS, Ratio, Table, ratio
from bench.rounds import Target
from bench.stage import Stage

DEFAULTS: Final = "defaults"
KEEPING: Final = "defaults that keep compiled tables"


def hot_query(stage: Stage) -> Table:
    """The dispatcher's query, strict, through the whole door."""
    rows: list[Ratio] = []
    for backend, gate in (("sqlite", "0.85"), ("postgresql", "0.8")):
        url, called = stage.filled(backend), _called(backend)
        with ExitStack() as stack:
            targets = stack.enter_context(stage.against_bare(url))
            for name in (DEFAULTS, KEEPING):
                served = stack.enter_context(stage.defaults(url, keeps_tables=name == KEEPING, name=name))
                targets.append(Target(served=served, requests=targets[0].requests))
            costed = stage.compared(*targets)
        rows.append(ratio(f"hot query, {called}", costed, gate=gate, stretch="1.0"))
        times = {"gate": "40", "stretch": "80"}
        rows.append(ratio(f"hot query, {called}, against Strawberry's defaults", costed, against=DEFAULTS, **times))
        work = f"hot query, {called}, against defaults that keep compiled tables"
        rows.append(ratio(work, costed, against=KEEPING))
    with stage.against_bare(stage.filled("postgresql"), workers=2) as targets:
        rows.append(ratio("hot query, PostgreSQL, 2 workers", stage.compared(*targets), gate="0.8", stretch="1.0"))
    return Table(heading="The hot query", columns=RATIO_COLUMNS, rows=[row.cells() for row in rows])


def dispatchers_others(stage: Stage) -> Table:
    """What else the dispatcher asks."""
    return Table(
        heading="The dispatcher's other queries, SQLite",
        columns=RATIO_COLUMNS,
        rows=[_against_bare(stage, question).cells() for question in dispatchers()],
        after=f"`resolutions` asks for {BATCH} beads at once.",
    )


def other_queries(stage: Stage) -> Table:
    """Queries that take the common way, their documents cached."""
    return Table(
        heading="Any other query, SQLite",
        columns=RATIO_COLUMNS,
        rows=[_against_bare(stage, question, gate="0.15", stretch="0.3").cells() for question in others()],
    )


def _against_bare(stage: Stage, question: Question, *, gate: str = "", stretch: str = "") -> Ratio:
    with stage.against_bare(stage.filled("sqlite"), question) as targets:
        return ratio(question.name, stage.compared(*targets), gate=gate, stretch=stretch)


def _called(backend: str) -> str:
    return {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[backend]
