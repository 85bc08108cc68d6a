"""Where the measuring takes place: filled databases, servers over them, and a client that asks."""

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from bench.questions import BEADS_PER_TOWN, TOWNS, Question, bodies, hot, write_requests
from bench.rounds import Client, Costs, Target, compare
from bench.servers import ALL_CORES, TOWNCLERK, Served, cores, free_port, started, uvicorn
from models.store.engine import async_url
from tests.bulk import add_beads, add_override_sets, add_towns, analyze
from tests.databases import Databases
from tests.tokens import make_token

QUIET: Final = 1  # connections
BUSY: Final = 32
VERSIONS: Final = 3  # override sets of each town, the last in force, of twenty overrides

OURS: Final = "ours"
BARE: Final = "bare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    """What the compared cost quiet and busy, by their names."""

    quiet: dict[str, Costs]
    busy: dict[str, Costs]


@dataclass(kw_only=True)
class Stage:
    """All that a section of the benchmark needs. `rounds` and `seconds` say how long each comparison takes."""

    folder: Path
    databases: Databases
    load: Client
    rounds: int
    seconds: float
    _filled: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def filled(self, backend: str) -> str:
        """The URL of a database with the towns and beads that the questions are about."""
        if backend not in self._filled:
            url = self._filled[backend] = self.databases.fresh(backend)
            add_towns(url, TOWNS)
            add_beads(url, TOWNS, BEADS_PER_TOWN)
            for town in TOWNS:
                add_override_sets(url, town, VERSIONS)
            analyze(url)
        return self._filled[backend]

    @contextmanager
    def ours(self, url: str, *, workers: int = 1, name: str = OURS) -> Iterator[Served]:
        """`townclerk serve` as it is shipped: tokens are asked for, the log goes to a file, numbers are kept."""
        port = free_port()
        command: list[str | Path] = [TOWNCLERK, "serve", "--port", str(port), "--workers", str(workers)]
        environment = {"TOWNCLERK_DATABASE_URL": url}
        on = cores().server if workers == 1 else ALL_CORES
        with started(name, command, port, environment=environment, log=self.file("log"), on=on) as served:
            yield served

    @contextmanager
    def bare(
        self, answer: bytes, *, workers: int = 1, app: str = "app", http: str = "httptools", name: str = BARE
    ) -> Iterator[Served]:
        """A bare route that gives this answer; `app` is another application of bench/bare.py, `http` a protocol."""
        kept = self.file("answer")
        kept.write_bytes(answer)
        port = free_port()
        command = uvicorn(f"bench.bare:{app}", port, http=http, workers=workers)
        on = cores().server if workers == 1 else ALL_CORES
        environment = {"BENCH_ANSWER": str(kept)}
        with started(name, command, port, environment=environment, log=self.file("log"), on=on) as served:
            yield served

    @contextmanager
    def defaults(self, url: str, *, keeps_tables: bool, name: str) -> Iterator[Served]:
        """Strawberry as it comes."""
        port = free_port()
        driven = async_url(url).render_as_string(hide_password=False)
        environment = {"BENCH_DATABASE": driven, **({"BENCH_KEEPS_TABLES": "1"} if keeps_tables else {})}
        command = uvicorn("bench.defaults:app", port)
        with started(name, command, port, environment=environment, log=self.file("log"), on=cores().server) as served:
            yield served

    def requests(self, question: Question, token: str) -> Path:
        return write_requests(self.file("requests"), question, token)

    def file(self, kind: str) -> Path:
        """A file of its own."""
        return self.folder / f"{next(self._numbers)}.{kind}"

    def compared(self, *targets: Target, quiet: bool = True, busy: bool = True) -> Costed:
        """What they cost by one connection and by many."""
        rows = {
            asked: compare(self.load, targets, connections=connections, rounds=self.rounds, seconds=self.seconds)
            for asked, connections, wanted in (("quiet", QUIET, quiet), ("busy", BUSY, busy))
            if wanted
        }
        return Costed(quiet=rows.get("quiet", {}), busy=rows.get("busy", {}))

    @contextmanager
    def against_bare(self, url: str, question: Question | None = None, *, workers: int = 1) -> Iterator[list[Target]]:
        """Ours and a bare route that answers the same, to be asked the same question (by default the hot one)."""
        question = question or hot()
        token = make_token(url, "reader", "dispatcher")
        requests = self.requests(question, token)
        with ExitStack() as stack:
            ours = stack.enter_context(self.ours(url, workers=workers))
            answer = first_answer(ours, question, token)
            bare = stack.enter_context(self.bare(answer, workers=workers))
            yield [Target(served=ours, requests=requests), Target(served=bare, requests=requests)]


def first_answer(served: Served, question: Question, token: str) -> bytes:
    """The answer to the first of a question's requests."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    connection.request("POST", "/graphql", bodies(question)[0].encode("ascii"), headers)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    if response.status != 200 or b'"errors":' in answer:
        raise RuntimeError(f"{question.name}: {answer[:2000]!r}")
    return answer
