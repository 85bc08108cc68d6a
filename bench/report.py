"""The report: a section of docs/performance.md between two marks, and what it says about the machine."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.servers import ROOT
from bench.table import Table, filled, summary
from tests.postgres import server_binaries

REPORT: Final = ROOT / "docs" / "performance.md"
BEGIN: Final = "<!-- make bench writes from here -->"
END: Final = "<!-- to here -->"

_PACKAGES: Final = ("starlette", "uvicorn", "uvloop", "httptools", "strawberry-graphql", "sqlalchemy", "asyncpg")


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


def text(tables: Sequence[Table], how: str) -> str:
    """The section, without its marks."""
    lines = ["## What a request costs", "", *(f"{filled(it)}\n" for it in how.split("\n\n")), *summary(tables)]
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
