"""What it costs to browse a long history: pages of audit entries by depth, and by each filter.

Run by hand: `.venv/bin/python bench/browse.py [--entries N] [--times N]`. It fills throw-away databases of both kinds,
asks a Townclerk over them through HTTP in one process, and prints a table of medians. SQLite runs as it is shipped,
PostgreSQL without fsync, as in the tests.
"""

import argparse
import base64
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

from api.observability import configure_logging
from tests.bulk import add_entries, analyze
from tests.client import Api, Json, serving
from tests.databases import BACKENDS, Databases
from tests.towns import make_town

SIZE: Final = 50
DEEP: Final = 10_000
PAGE: Final = """
query ($town: ID!, $filter: AuditFilter, $first: Int, $after: String) {
  auditEntries(townId: $town, filter: $filter, first: $first, after: $after) {
    edges { node { sequence occurredAt action actor { actorId } targetId reason before after hash } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
SHALLOW_AND_DEEP: Final = ("page 1", f"page {DEEP:,}")


def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs to browse a long history.")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=201)
    wanted = parser.parse_args()
    configure_logging("WARNING")
    columns: dict[str, dict[str, float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="townclerk-bench-") as folder,
        closing(Databases(Path(folder))) as databases,
    ):
        for backend in BACKENDS:
            columns[backend] = long_history(databases.fresh(backend), entries=wanted.entries, times=wanted.times)
    print(f"{wanted.entries:,} entries, {SIZE} a page, medians of {wanted.times} requests in milliseconds")
    print(f"{'':32}", *(f"{backend:>12}" for backend in BACKENDS))
    for name in columns[BACKENDS[0]]:
        print(f"{name:32}", *(f"{columns[backend][name]:>12.1f}" for backend in BACKENDS))
    for backend in BACKENDS:
        shallow, deep = (columns[backend][name] for name in SHALLOW_AND_DEEP)
        print(f"{backend}: {SHALLOW_AND_DEEP[1]} takes {deep / shallow:.2f} times as long as {SHALLOW_AND_DEEP[0]}")


def long_history(url: str, *, entries: int, times: int) -> dict[str, float]:
    """Fill a database and take the times of its pages."""
    with serving(url) as api:
        town_id = make_town(api, rigs=())
    began = time.perf_counter()
    add_entries(url, town_id, entries)
    if url.startswith("postgresql"):
        analyze(url)  # as its autovacuum does in time
    figures = {"filling it, in seconds": time.perf_counter() - began}
    with serving(url) as api:
        newest = entry(api, town_id)
        middle = entry(api, town_id, after=cursor(api, town_id, newest["sequence"] // 2))
        founder = entry(api, town_id, narrowed={"actions": ["TOWN_CREATED"]})["actor"]["actorId"]
        deep = cursor(api, town_id, newest["sequence"] + 1 - SIZE * (DEEP - 1))
        assert len(page(api, town_id, after=deep)["edges"]) == SIZE, f"page {DEEP:,} is not that deep"
        shown: dict[str, tuple[Json | None, str | None]] = {
            SHALLOW_AND_DEEP[0]: (None, None),
            SHALLOW_AND_DEEP[1]: (None, deep),
        }
        filters: dict[str, Json] = {
            "an action, of nearly all": {"actions": ["MAYOR_OBSERVED"]},
            "an action, of the first alone": {"actions": ["TOWN_CREATED"]},
            "an action, of none": {"actions": ["RIG_REMOVED"]},
            "a kind of target, of none": {"targetType": "override_set"},
            "an actor, of nearly all": {"actorIds": ["bulk"]},
            "an actor, of the first alone": {"actorIds": [founder]},
            "an actor, of none": {"actorIds": ["nobody"]},
            "1,000 actors, of none": {"actorIds": [f"nobody-{number}" for number in range(1000)]},
            "a target, of all": {"targetId": town_id},
            "a target, of none": {"targetId": "nowhere"},
            "a request, of one": {"requestId": f"bulk-{entries // 2}"},
            "a request, of none": {"requestId": "none"},
            "since the middle": {"since": middle["occurredAt"]},
            "until the middle": {"until": middle["occurredAt"]},
            "until before the first": {"until": "2000-01-01T00:00:00Z"},
        }
        shown |= {name: (narrowed, None) for name, narrowed in filters.items()}
        works = [partial(page, api, town_id, narrowed=narrowed, after=after) for narrowed, after in shown.values()]
        return figures | dict(zip(shown, medians(works, times), strict=True))


def page(api: Api, town_id: str, *, first: int = SIZE, narrowed: Json | None = None, after: str | None = None) -> Json:
    connection: Json = api.data(PAGE, town=town_id, filter=narrowed, first=first, after=after)["auditEntries"]
    return connection


def entry(api: Api, town_id: str, **which: Any) -> Json:
    """The first entry of a page."""
    node: Json = page(api, town_id, first=1, **which)["edges"][0]["node"]
    return node


def cursor(api: Api, town_id: str, sequence: int) -> str:
    """The cursor after which the unnarrowed list goes on below `sequence`, made of one that it gave out."""
    given = page(api, town_id, first=1)["pageInfo"]["endCursor"]
    mark, _ = json.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
    made = base64.urlsafe_b64encode(json.dumps([mark, sequence]).encode("ascii"))
    return made.decode("ascii").rstrip("=")


def medians(works: Sequence[Callable[[], object]], times: int) -> list[float]:
    """The median milliseconds of each, all of them in turns and mixed: what else the machine does befalls all alike."""
    taken: list[list[float]] = [[] for _ in works]
    mixed = list(zip(works, taken, strict=True))
    for _ in range(times):
        random.shuffle(mixed)
        for work, its in mixed:
            began = time.perf_counter()
            work()
            its.append(1000 * (time.perf_counter() - began))
    return [statistics.median(its) for its in taken]


if __name__ == "__main__":
    main()
