"""`GET /metrics`, for Prometheus. Every label is of a closed set: routes, names of the schema, codes.

Where `PROMETHEUS_MULTIPROC_DIR` is set, which `serve --workers` does, processes leave their numbers in files there and
whichever is asked answers for all of them; without it each answers for itself, and tells of its own process as well.
"""

import asyncio
import os
import time
from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from sqlalchemy import Engine, event
from sqlalchemy.pool import QueuePool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from api.schema.operation import Operation, Summary
from models.services.standing import Standing, standing
from models.store.unit import StorageUnavailableError, Store

_SOON_SECONDS: Final = 0.1  # after which processes see each other's numbers
_DATABASE_SECONDS: Final = 2.0  # how long an answer waits for what only the database knows
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "other"
GRAPHQL: Final = "/graphql"
_LOG: Final = structlog.get_logger("townclerk.metrics")
_SUM: Final[Any] = "livesum"

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types


class Metrics:
    """The numbers of one application, and the endpoint that shows them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asking: asyncio.Task[Standing | None] | None = None
        # what is noted of requests, and not counted yet
        self._seconds: defaultdict[Histogram, list[float]] = defaultdict(list)
        self._counts: defaultdict[Counter, int] = defaultdict(int)
        self._answered: defaultdict[Summary, list[float]] = defaultdict(list)
        self._under_way = 0
        self._is_to_count = False
        self._shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        own = self._own = CollectorRegistry()
        if not self._shared:
            prometheus_client.ProcessCollector(registry=own)
            prometheus_client.GCCollector(registry=own)
        self._requests = Histogram(
            "townclerk_http_request_seconds", "HTTP requests", ("method", "path", "status"), registry=own
        )
        self._in_flight = Gauge(
            "townclerk_http_requests_in_flight", "Requests under way", registry=own, multiprocess_mode=_SUM
        )
        self._operations = Histogram(
            "townclerk_graphql_operation_seconds", "Queries and mutations", ("operation", "field"), registry=own
        )
        ways = Counter("townclerk_graphql_operations", "Operations by how they were run", ("way",), registry=own)
        self._errors = Counter("townclerk_graphql_errors", "GraphQL errors by code", ("code",), registry=own)
        self._changes = Counter(
            "townclerk_mutations", "Mutations by what came of them", ("mutation", "outcome"), registry=own
        )
        self._resolutions = Counter("townclerk_resolutions", "Resolutions by source", ("source",), registry=own)
        self._in_use = Gauge(
            "townclerk_pool_connections_in_use",
            "Database connections in use",
            ("pool",),
            registry=own,
            multiprocess_mode=_SUM,
        )
        self._most = Gauge(
            "townclerk_pool_connections_max",
            "Database connections that may be made",
            ("pool",),
            registry=own,
            multiprocess_mode=_SUM,
        )
        # each combination of labels is looked up once
        self._request, self._operation = cache(self._requests.labels), cache(self._operations.labels)
        self._resolution, self._way = cache(self._resolutions.labels), cache(ways.labels)
        self._change = cache(self._changes.labels)
        database = store.database
        self._pools = [
            (self._in_use.labels(name), self._watched(name, engine.sync_engine), own)
            for name, engine, own in (
                ("read", database.reader, int),
                ("write", database.writer, lambda: database.is_writing),
            )
        ]

    def begun(self) -> None:
        """Count a request that has begun."""
        self._under_way += 1
        self._count_soon()

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and time a request that has ended."""
        self._under_way -= 1
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        path = getattr(scope.get("route"), "path", _OTHER)
        self._seconds[self._request(method, path, str(status))].append(seconds)
        self._count_soon()

    def operation(self, operation: Operation) -> None:
        """Count and time a GraphQL operation that has ended; of a subscription, which lasts, only what came of it."""
        seconds = time.perf_counter() - operation.begun
        if operation.kind != "subscription":
            for field in operation.fields or (_OTHER,):
                self._seconds[self._operation(operation.kind, field)].append(seconds)
        for code in operation.codes:
            self._counts[self._errors.labels(code)] += 1
        for (mutation, outcome), count in operation.changes.items():
            self._counts[self._change(mutation, outcome)] += count
        for source, count in operation.resolutions.items():
            self._counts[self._resolution(source)] += count
        self._counts[self._way("compiled" if operation.compiled else "executed")] += 1
        self._count_soon()

    def taken(self) -> None:
        """Count a request that may be answered without a task."""
        self._under_way += 1
        if not self._is_to_count:
            self._count_soon()

    def passed_on(self) -> None:
        """Forget it: it begins anew."""
        self._under_way -= 1

    def answered(self, summary: Summary, seconds: float) -> None:
        """Count and time a request that was a compiled query and has been answered."""
        self._under_way -= 1
        self._answered[summary].append(seconds)
        if not self._is_to_count:
            self._count_soon()

    async def show(self, _request: Request) -> Response:
        """Answer with all numbers in Prometheus' text format; without those of the database while it is away."""
        said = await self._standing()
        self._count()
        shown = CollectorRegistry(auto_describe=False)
        if self._shared:
            _forget_the_dead(Path(self._shared))
            _AllProcesses(shown, path=self._shared)  # type: ignore[no-untyped-call]  # it has no types
        else:
            shown.register(self._own)
        shown.register(_DatabaseNumbers(said))
        return Response(
            prometheus_client.generate_latest(shown), headers={"content-type": prometheus_client.CONTENT_TYPE_LATEST}
        )

    async def close(self) -> None:
        """Count what is not counted yet, and wait for what is still being asked of the database."""
        self._count()
        if self._asking is not None:
            await self._asking

    def _count_soon(self) -> None:
        """Have what is noted counted: several requests' together take less than each by itself."""
        if not self._is_to_count:
            asyncio.get_running_loop().call_later(_SOON_SECONDS, self._count)
            self._is_to_count = True

    def _count(self) -> None:
        self._is_to_count = False
        self._in_flight.set(self._under_way)
        for in_use, pool, own in self._pools:
            in_use.set(pool.checkedout() + own())
        for (fields, sources), seconds in self._answered.items():
            self._seconds[self._request("POST", GRAPHQL, "200")] += seconds
            for field in fields:
                self._seconds[self._operation("query", field)] += seconds
            for source, count in sources:
                self._counts[self._resolution(source)] += count * len(seconds)
            self._counts[self._way("compiled")] += len(seconds)
        self._answered.clear()
        for counter, number in self._counts.items():
            counter.inc(number)
        self._counts.clear()
        for histogram, seconds in self._seconds.items():
            _observe(histogram, seconds)
            seconds.clear()

    async def _standing(self) -> Standing | None:
        """How things stand in the database; None where it does not say so in time. It is asked once at a time."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(_ask(self._store))
        done, _ = await asyncio.wait({self._asking}, timeout=_DATABASE_SECONDS)
        return self._asking.result() if done else None

    def _watched(self, name: str, engine: Engine) -> QueuePool:
        """The pool of an engine, whose every move is counted soon."""
        pool = engine.pool
        if not isinstance(pool, QueuePool):
            raise TypeError(f"no pool to watch: {pool!r}")
        self._most.labels(name).set(pool.size() + pool._max_overflow)  # noqa: SLF001  # it has no other way to tell
        for move in ("checkout", "checkin"):
            event.listen(engine, move, self._moved)
        return pool

    def _moved(self, *_: object) -> None:
        if not self._is_to_count:
            with suppress(RuntimeError):  # what is collected as garbage comes back at any time, also without a loop
                self._count_soon()


def _observe(histogram: Histogram, seconds: list[float]) -> None:
    """What `histogram.observe` does for each, for all of them at once."""
    bounds = histogram._upper_bounds  # noqa: SLF001  # it has no way to take several at once
    histogram._sum.inc(sum(seconds))  # noqa: SLF001  # and each by itself takes longer than all else that is noted
    for place, number in Tally(map(partial(bisect_left, bounds), seconds)).items():
        histogram._buckets[place].inc(number)  # noqa: SLF001  # likewise


async def _ask(store: Store) -> Standing | None:
    try:
        return await standing(store)
    except StorageUnavailableError:
        return None
    except Exception:  # noqa: BLE001  # the other numbers are to be had all the same; the log tells
        _LOG.exception("the database's numbers are not to be had")
        return None


class _AllProcesses(MultiProcessCollector):
    """What processes have left in files; a file that one has only just made has no numbers yet, nor a form."""

    def collect(self) -> Any:
        files = [str(path) for path in Path(self._path).glob("*.db") if _is_written(path)]
        return self.merge(files, accumulate=True)  # type: ignore[no-untyped-call]  # it has no types


class _DatabaseNumbers(Collector):
    """What the database said, as Prometheus' numbers."""

    def __init__(self, said: Standing | None) -> None:
        self._said = said

    def collect(self) -> Iterator[Metric]:
        """Give each number with its name."""
        said = self._said
        yield GaugeMetricFamily("townclerk_database_up", "Whether the database answers", value=float(said is not None))
        if said is not None:
            yield GaugeMetricFamily(
                "townclerk_restart_signals_open", "Mayors that are to restart", value=said.open_signals
            )
            yield GaugeMetricFamily(
                "townclerk_rollout_towns_due",
                "Towns that a profile's latest version has to reach",
                value=said.towns_due,
            )


def _is_written(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_size > 0
    return False


def _forget_the_dead(folder: Path) -> None:
    """Leave out what a process that is no more, however it went, said of the moment."""
    for pid in {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*.db")}:
        try:
            os.kill(int(pid), 0)
        except (ProcessLookupError, PermissionError):  # the latter where its id is somebody else's by now
            with suppress(FileNotFoundError):  # another process was quicker
                mark_process_dead(int(pid), path=str(folder))  # type: ignore[no-untyped-call]  # it has no types
