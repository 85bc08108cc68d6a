"""Rows of figures, each beside what it has to reach."""

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from bench.stage import BARE, OURS, Costed

RATIO_COLUMNS: Final = ("work", "CPU, 1 connection", "CPU, 32", "clock, 1 connection", "clock, 32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a figure has to reach, and what it should; `less` where a smaller figure is better."""

    gate: float
    stretch: float
    less: bool = False

    def reached(self, figures: Iterable[float]) -> str:
        """What the worst of the figures reaches."""
        signed = [-it if self.less else it for it in figures]
        gate, stretch = (-it if self.less else it for it in (self.gate, self.stretch))
        return "stretch" if min(signed) >= stretch else "gate" if min(signed) >= gate else "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A kind of work: what is shown of it, and the figures that its goal, if it has one, is about."""

    work: str
    shown: tuple[str, ...]
    held: tuple[float, ...] = ()
    goal: Goal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a heading, with what has to be said about them."""

    heading: str
    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    about: str = ""

    def lines(self) -> Iterator[str]:
        yield from (f"### {self.heading}", "")
        if self.rows:
            yield from grid(self.columns, ((row.work, *row.shown) for row in self.rows))
        if self.about:
            yield from (filled(self.about), "")


def summary(tables: Iterable[Table]) -> Iterator[str]:
    """All rows that have a goal, beside it."""
    rows = []
    for table in tables:
        for row in table.rows:
            if (goal := row.goal) is not None:
                measured = ", ".join(map(figure, row.held))
                wanted = (f"{'≤ ' * goal.less}{it:g}" for it in (goal.gate, goal.stretch))
                rows.append((f"{table.heading}: {row.work}", measured, *wanted, goal.reached(row.held)))
    return grid(("work", "measured", "gate", "stretch", "reached"), rows)


def ratio(work: str, costed: Costed, *, of: str = OURS, against: str = BARE, goal: Goal | None = None) -> Row:
    """The row of a comparison: the other's cost over ours, so that more is better. The goal is about CPU."""
    pairs = [(costs[of], costs[against]) for costs in (costed.quiet, costed.busy)]
    cpu = tuple(ours.cpu_against(theirs) for ours, theirs in pairs)
    wall = tuple(ours.wall_against(theirs) for ours, theirs in pairs)
    return Row(work=work, shown=tuple(map(figure, (*cpu, *wall))), held=cpu, goal=goal)


def figure(value: float) -> str:
    """A few digits that say something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def filled(text: str) -> str:
    """A paragraph in lines of at most 120 characters."""
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def grid(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table in Markdown, with an empty line after it."""
    named = list(columns)
    yield from (_line(named), _line("---" for _ in named), *map(_line, rows), "")


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
