"""What it costs to verify a long chain: entries a second and peak memory, from the database and from an export.

Run by hand: `.venv/bin/python bench/verify.py [--entries N]`. It fills throw-away databases of both kinds and runs the
console script on them. SQLite runs as it is shipped, PostgreSQL without fsync, as in the tests.
"""

import argparse
import os
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from api.observability import configure_logging
from tests.bulk import add_entries
from tests.client import serving
from tests.databases import BACKENDS, Databases
from tests.e2e.process import SCRIPT

TOWN: Final = "long"


def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs to verify a long chain.")
    parser.add_argument("--entries", type=int, default=1_000_000)
    wanted = parser.parse_args()
    configure_logging("WARNING")
    print(f"{wanted.entries:,} entries")
    print(f"{'':12}{'':10}{'seconds':>10}{'entries/s':>12}{'peak MB':>10}")
    with (
        tempfile.TemporaryDirectory(prefix="townclerk-bench-") as folder,
        closing(Databases(Path(folder))) as databases,
    ):
        for backend in BACKENDS:
            url = databases.fresh(backend)
            with serving(url) as api:
                api.done("createTown", townId=TOWN, name="Long")
            add_entries(url, TOWN, wanted.entries)
            export = Path(folder) / f"{backend}.jsonl"
            report(backend, "database", wanted.entries, *timed(url, "audit", "verify", "--town", TOWN))
            with export.open("wb") as file:
                report(backend, "export", wanted.entries, *timed(url, "audit", "export", "--town", TOWN, to=file))
            report(backend, "file", wanted.entries, *timed(url, "audit", "verify", "--file", str(export)))


def timed(url: str, *arguments: str, to: object = subprocess.DEVNULL) -> tuple[float, float]:
    """Seconds and peak memory (MB) of one run of the console script, which has to succeed."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [SCRIPT, *arguments],
        stdout=to,  # type: ignore[call-overload]  # a file, or what stands for none
        env={**os.environ, "TOWNCLERK_DATABASE_URL": url},
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def report(backend: str, what: str, entries: int, seconds: float, peak: float) -> None:
    print(f"{backend:12}{what:10}{seconds:>10.1f}{entries / seconds:>12,.0f}{peak:>10.0f}", flush=True)


if __name__ == "__main__":
    main()
