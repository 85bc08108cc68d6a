"""How a big town fares: previews and resolutions among 100,000 active beads, and a rollout to 5,000 towns.

Run by hand: `.venv/bin/python bench/preview.py [--beads N] [--sets N] [--towns N]`. It seeds throw-away databases of
both kinds, asks a Townclerk over them through HTTP in one process, and prints a table. SQLite runs as it is shipped,
PostgreSQL without fsync, as in the tests.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from api.observability import configure_logging
from tests.bulk import add_beads, add_override_sets, add_towns, analyze
from tests.client import Api, Json, serving
from tests.databases import BACKENDS, Databases
from tests.towns import HAIKU, OPUS, SONNET, rule

TOWN: Final = "big"
RESOLUTION: Final = "query ($id: ID!) { resolution(beadId: $id) { model because considered { key outcome } } }"
CHANGES: Final = """
fragment changes on ChangeDetection {
  mayorChanged changedBeadCount
  changedBeads(first: 50) {
    edges { node { bead { beadId title } before { model } after { model because } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
PREVIEW: Final = f"""
query ($draft: OverrideSetDraft!) {{
  preview(townId: "{TOWN}", draft: $draft) {{ userErrors {{ code }} changeDetection {{ ...changes }} }}
}}
{CHANGES}
"""
PAST: Final = f"""
query ($version: Int!) {{
  town(townId: "{TOWN}") {{
    overrideSetAt(asOf: {{version: $version}}) {{ modelSpread {{ model beads }} changeDetection {{ ...changes }} }}
  }}
}}
{CHANGES}
"""
SOME: Final = [rule(OPUS, role="POLECAT", label="gt:held", rig="web")]
MOST: Final = [rule(OPUS, role="POLECAT"), rule(HAIKU, role="REFINERY")]


def main() -> None:
    parser = argparse.ArgumentParser(description="How a big town fares.")
    parser.add_argument("--beads", type=int, default=100_000)
    parser.add_argument("--sets", type=int, default=1_000)
    parser.add_argument("--towns", type=int, default=5_000)
    wanted = parser.parse_args()
    configure_logging("WARNING")
    columns: dict[str, dict[str, str]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="townclerk-bench-") as folder,
        closing(Databases(Path(folder))) as databases,
    ):
        for backend in BACKENDS:
            columns[backend] = big_town(databases.fresh(backend), beads=wanted.beads, sets=wanted.sets)
            for towns in (wanted.towns // 5, wanted.towns):
                columns[backend][f"rollout to {towns:,} towns"] = rollout(databases.fresh(backend), towns)
    print(f"{wanted.beads:,} active beads, {wanted.sets:,} override sets")
    for name in columns[BACKENDS[0]]:
        print(f"{name:44}", *(f"{columns[backend][name]:>34}" for backend in BACKENDS))


def big_town(url: str, *, beads: int, sets: int) -> dict[str, str]:
    """Seed one big town and ask about it."""
    began = time.perf_counter()
    add_towns(url, [TOWN])
    add_beads(url, [TOWN], beads)
    add_override_sets(url, TOWN, sets)
    if url.startswith("postgresql"):
        analyze(url)  # as its autovacuum does in time
    figures = {"": url.partition(":")[0], "seeding the big town": f"{time.perf_counter() - began:.0f} s"}
    with serving(url) as api:
        bead = f"{TOWN}-{beads // 2}"
        figures["resolution, the first"] = timed(lambda: api.data(RESOLUTION, id=bead), times=1)
        figures["resolution, the next 200, median"] = timed(lambda: api.data(RESOLUTION, id=bead), times=200)
        for name, overrides in (("some", SOME), ("most", MOST)):
            asked = partial(preview, api, overrides)
            figures[f"preview that changes {name} beads, median"] = f"{asked():,} in {timed(asked, times=5)}"
        figures["what a set of the past changed"] = timed(lambda: api.data(PAST, version=sets // 2), times=3)
        figures["publish, with what it changes"] = timed(lambda: publish(api, sets), times=1)
    return figures


def timed(work: Callable[[], object], *, times: int) -> str:
    """How long `work` takes, in the middle of so many runs."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return f"{1000 * statistics.median(taken):,.1f} ms"


def preview(api: Api, overrides: list[Json]) -> int:
    """How many beads the overrides would change."""
    previewed = api.data(PREVIEW, draft={"overrides": overrides})["preview"]
    assert previewed["userErrors"] == []
    count: int = previewed["changeDetection"]["changedBeadCount"]
    return count


def publish(api: Api, version: int) -> None:
    payload = api.done(
        "publishOverrideSet",
        "changeDetection { changedBeadCount changedBeads(first: 50) { edges { node { after { model } } } } }",
        townId=TOWN,
        expectedVersion=version,
        draft={"overrides": MOST},
        reason="A benchmark says so.",
    )
    assert payload["changeDetection"]["changedBeadCount"]


def rollout(url: str, towns: int) -> str:
    """Publish a profile that so many towns follow, in a process whose memory nothing else has filled."""
    add_towns(url, [f"town-{number}" for number in range(towns)])
    if url.startswith("postgresql"):
        analyze(url)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_rollout, (url, towns))


def _rollout(url: str, towns: int) -> str:
    with serving(url, rollout_interval_seconds=3600) as api:
        before = peak_memory()
        began = time.perf_counter()
        payload = api.done(
            "publishProfileVersion",
            "townsFollowing townsUpdated mayorRestartsSignalled",
            name="balanced",
            expectedVersion=1,
            smallModel=SONNET,
            rules=[rule(OPUS)],
            reason="A benchmark says so.",
        )
        took = time.perf_counter() - began
        grown = peak_memory() - before
    assert payload["townsFollowing"] == payload["townsUpdated"] == towns, payload
    return f"{took:.1f} s, {grown:.0f} MiB more at most"


def peak_memory() -> float:
    """The most that this process has ever held, in MiB; `ru_maxrss` would begin with what its parent held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
