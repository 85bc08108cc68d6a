"""What the dispatcher's work costs, against a bare route on the same machine in the same run: `make bench`.

Underneath `.venv/bin/python -m bench.dispatch [--only SECTION ...] [--rounds N] [--seconds S]`. All sections together
write their figures into docs/performance.md; some of them alone are only printed.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from api.observability import configure_logging
from bench import asking, figures, floor, peer_servers
from bench.report import machine, text, write
from bench.rounds import client
from bench.stage import Stage
from bench.table import Table, summary
from tests.databases import Databases

Section = Callable[[Stage], Table]
SECTIONS: Final[dict[str, Section]] = {
    "hot": asking.hot_query,
    "dispatcher": asking.dispatchers_others,
    "batch": figures.batch,
    "others": asking.other_queries,
    "core": figures.pure_core,
    "publish": figures.publish,
    "size": figures.size,
    "peers": peer_servers.peers,
    "floor": floor.where_it_goes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="What the dispatcher's work costs.")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=[], metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=21, help="rounds of each comparison")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long each is asked in a round")
    wanted = parser.parse_args()
    configure_logging("WARNING")
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="townclerk-bench-")))
        stage = Stage(
            folder=folder,
            databases=stack.enter_context(closing(Databases(folder))),
            load=stack.enter_context(client()),
            rounds=wanted.rounds,
            seconds=wanted.seconds,
        )
        tables = []
        for name in wanted.only or SECTIONS:
            tables.append(SECTIONS[name](stage))
            print("\n".join(tables[-1].lines()), flush=True)
    print("\n".join(summary(tables)))
    if not wanted.only:
        write(text(tables, how(wanted.rounds, wanted.seconds, load)))


def how(rounds: int, seconds: float, load: float) -> str:
    """How it was measured; `load` is the machine's load average before."""
    return f"""\
Written by `make bench` on {machine()} As it began, the machine's load average was {load:.1f}.

All figures are ratios within one run. Server and client have a core each; what is compared is asked in turns, for
{seconds:g} s at a time, {rounds} times, and a figure is the median of the rounds' own ratios. CPU is user and system
time of all processes and threads of the server, not of PostgreSQL. The yardstick is a bare Starlette route
(`bench/bare.py`) on uvicorn with uvloop and httptools, which reads the same request's JSON and answers as many bytes. A
ratio is its cost over ours: 1 is as cheap, and more is cheaper. Townclerk runs as `townclerk serve` does: it asks for a
token, logs each request (to a file), and keeps its numbers. SQLite runs as it is shipped; PostgreSQL without fsync,
synchronous commit and full page writes, as in the tests, which reads do not notice; no writes are measured there."""


if __name__ == "__main__":
    main()
