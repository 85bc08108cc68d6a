"""What is no plain comparison of requests: a bead in a batch, the pure core, a publish, and growth."""

import json
import os
import subprocess
import sys
from typing import Final

from bench.core import REPEATED
from bench.publish import BEADS as PUBLISHED_BEADS
from bench.publish import publishing
from bench.questions import BATCH, dispatchers
from bench.rounds import Target
from bench.servers import ROOT, cores, pinned
from bench.size import BEADS, BEADS_EACH, LARGE, PART, PART_TOWNS, SMALL, TOWNS, growing
from bench.stage import BARE, OURS, Stage, first_answer
from bench.table import Goal, Row, Table, figure
from tests.tokens import make_token

BARE_COUNTS: Final = 32  # what a bare route's request counts for where a figure is in its terms
GROWTHBOOK: Final = "growthbook==4.0.0"
CORE_ROUNDS: Final = 15


def batch(stage: Stage) -> Table:
    """A bead among a hundred that are asked for at once."""
    url = stage.filled("sqlite")
    with stage.against_bare(url) as (ours, bare):
        question = next(it for it in dispatchers() if "resolutions" in it.name)
        token = make_token(url, "dispatcher")
        first_answer(ours.served, question, token)
        targets = Target(served=ours.served, requests=stage.requests(question, token)), bare
        costed = stage.compared(*targets)
    ratios = (costs[OURS].cpu_against(costs[BARE]) for costs in (costed.quiet, costed.busy))
    a_bead = tuple(BARE_COUNTS / BATCH / it for it in ratios)
    row = Row(
        work="CPU per bead", shown=tuple(map(figure, a_bead)), held=a_bead, goal=Goal(gate=6, stretch=3, less=True)
    )
    return Table(
        heading=f"`resolutions` with {BATCH} beads, SQLite",
        columns=("work", "1 connection", "32"),
        rows=(row,),
        about=f"In parts of which a request of the bare route, with the hot query's answer, is {BARE_COUNTS}.",
    )


def pure_core(stage: Stage) -> Table:
    """Deciding alone, without any request."""
    heading = "The pure core"
    packages = stage.file("packages")
    install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--target", str(packages)]
    installed = subprocess.run([*install, GROWTHBOOK], check=False, capture_output=True)
    if installed.returncode != 0:
        return Table(heading=heading, about=f"Left out: pip could not install {GROWTHBOOK}.")
    path = os.pathsep.join((str(ROOT), str(packages), os.environ.get("PYTHONPATH", "")))
    command = [sys.executable, "-m", "bench.core", stage.filled("sqlite"), str(CORE_ROUNDS)]
    with pinned(cores().server):
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, cwd=ROOT, check=True, capture_output=True, text=True
        )
    told = json.loads(done.stdout)
    row = Row(
        work="GrowthBook's time over ours",
        shown=(figure(told["times"]), figure(told["ours"]), figure(told["theirs"])),
        held=(told["times"],),
        goal=Goal(gate=5, stretch=20),
    )
    return Table(
        heading=heading,
        columns=("work", "measured", "µs of ours", "µs of theirs"),
        rows=(row,),
        about=f"`resolve` on a table that is compiled once, with the reason, against the engine of {GROWTHBOOK} "
        f"(`growthbook.core`, in Python) given the same {told['rules']} rules. {told['tasks']} tasks, {REPEATED} times "
        "a round, which both decide alike.",
    )


def publish(stage: Stage) -> Table:
    """A publish, against the least that a commit of it can take."""
    rows = []
    for overrides in (1, 20):
        took = publishing(stage, overrides=overrides)
        published = f"{overrides} override{'s' * (overrides > 1)}, {took.rows} rows: its time over a bare commit's"
        shown = (figure(took.times), figure(1e3 * took.ours), figure(1e3 * took.bare))
        rows.append(Row(work=published, shown=shown, held=(took.times,), goal=Goal(gate=4, stretch=2, less=True)))
    return Table(
        heading="A publish, SQLite",
        columns=("work", "measured", "ms of ours", "ms of the commit"),
        rows=tuple(rows),
        about=f"`publishOverrideSet` over HTTP in a town of {PUBLISHED_BEADS} beads, from the request to the answer, "
        "each time followed by a bare `sqlite3` transaction that writes such rows into a copy on the same file system, "
        "with the same pragmas (WAL, synchronous=FULL).",
    )


def size(stage: Stage) -> Table:
    """The hot query in a small and in a large installation."""
    costed = growing(stage)
    rows = []
    for name, what in ((LARGE, f"all {TOWNS:,} towns"), (PART, f"{PART_TOWNS:,} of the towns")):
        times = tuple(costs[SMALL].cpu_against(costs[name]) for costs in (costed.quiet, costed.busy))
        goal = Goal(gate=1.5, stretch=1.15, less=True)
        rows.append(Row(work=f"beads of {what}", shown=tuple(map(figure, times)), held=times, goal=goal))
    return Table(
        heading=f"{TOWNS:,} towns with {TOWNS * BEADS_EACH:,} beads against one with {BEADS}, SQLite",
        columns=("work", "CPU, 1 connection", "CPU, 32"),
        rows=tuple(rows),
        about="The hot query's CPU there over its CPU here, after a warm-up. A process keeps 4,096 compiled tables "
        "(`TOWNCLERK_TABLE_CACHE_SIZE`): where more towns than that are asked about at random, some are loaded again.",
    )
