"""The report: rows of figures beside what they have to reach, put into docs/performance.md between two marks."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.servers import ROOT
from bench.stage import BARE, OURS, Costed
from tests.postgres import server_binaries

REPORT: Final = ROOT / "docs" / "performance.md"
BEGIN: Final = "<!-- make bench writes from here -->"
END: Final = "<!-- to here -->"

_PACKAGES: Final = ("starlette", "uvicorn", "uvloop", "httptools", "strawberry-graphql", "sqlalchemy", "asyncpg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """What a request costs against another server's: (theirs / ours), so that more is better."""

    work: str
    cpu_quiet: float
    cpu_busy: float
    wall_quiet: float
    wall_busy: float
    gate: str = ""
    stretch: str = ""

    def cells(self) -> list[str]:
        figures = (self.cpu_quiet, self.cpu_busy, self.wall_quiet, self.wall_busy)
        return [self.work, *map(figure, figures), self.gate, self.stretch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Any other figure, in words."""

    work: str
    measured: str
    gate: str = ""
    stretch: str = ""

    def cells(self) -> list[str]:
        return [self.work, self.measured, self.gate, self.stretch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a heading, with what has to be said about them before and after."""

    heading: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    before: str = ""
    after: str = ""

    def lines(self) -> Iterator[str]:
        yield f"### {self.heading}"
        yield ""
        if self.before:
            yield from (self.before, "")
        if self.rows:
            yield from (_row(self.columns), _row("---" for _ in self.columns), *map(_row, self.rows), "")
        if self.after:
            yield from (self.after, "")


RATIO_COLUMNS: Final = (
    "work",
    "CPU, 1 connection",
    "CPU, 32",
    "clock, 1 connection",
    "clock, 32",
    "gate",
    "stretch",
)
OTHER_COLUMNS: Final = ("work", "measured", "gate", "stretch")


def ratio(
    work: str, costed: Costed, *, of: str = OURS, against: str = BARE, gate: str = "", stretch: str = ""
) -> Ratio:
    """The row of a comparison."""
    return Ratio(
        work=work,
        cpu_quiet=costed.quiet[of].cpu_against(costed.quiet[against]),
        cpu_busy=costed.busy[of].cpu_against(costed.busy[against]),
        wall_quiet=costed.quiet[of].wall_against(costed.quiet[against]),
        wall_busy=costed.busy[of].wall_against(costed.busy[against]),
        gate=gate,
        stretch=stretch,
    )


def figure(value: float) -> str:
    """Two digits that say something, three where the first is a one."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def machine() -> str:
    """The machine and the versions, in general words."""
    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    system = f"{platform.system()} {platform.machine()}, {_processor()}, {cores} cores"
    return f"{datetime.now(UTC):%Y-%m-%d}, {system}; Python {platform.python_version()}, {_postgres()}; {versions}."


def _processor() -> str:
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return found[1] if found else "a processor that does not say its name"


def _postgres() -> str:
    binaries = server_binaries()
    if binaries is None:
        return "no PostgreSQL"
    told = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return f"PostgreSQL {told.split()[-1] if '(' not in told else told.split()[2]}"


def text(tables: Iterable[Table], how: str) -> str:
    """The section, without its marks."""
    lines = ["## What a request costs", "", how, ""]
    for table in tables:
        lines.extend(table.lines())
    return "\n".join(lines)


def write(section: str, report: Path = REPORT) -> None:
    """Put the section between its marks; at the report's end where there are none."""
    whole = report.read_text(encoding="utf-8")
    before, begin, rest = whole.partition(BEGIN)
    after = rest.partition(END)[2] if begin else "\n"
    if not begin:
        before = whole.rstrip("\n") + "\n\n"
    report.write_text(f"{before}{BEGIN}\n\n{section.rstrip()}\n\n{END}{after}", encoding="utf-8")


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
