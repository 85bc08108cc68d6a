"""Short rounds in turns: what else the machine does befalls all that is compared alike."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.load import Order, Outcome
from bench.servers import ROOT, Served, cores, pinned

_WARM_ROUNDS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server with the file of the requests that it is asked."""

    served: Served
    requests: Path

    @property
    def name(self) -> str:
        return self.served.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a request cost in one round, in microseconds: of the server's CPU, and by the clock."""

    cpu: float
    wall: float
    body_bytes: float


class Client:
    """The process that asks."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, target: Target, *, connections: int, seconds: float) -> Round:
        """One round. Raises `RuntimeError` where an answer was wrong."""
        order = Order(port=target.served.port, requests=str(target.requests), connections=connections, seconds=seconds)
        self._say(json.dumps(asdict(order)))
        self._expect_ready(target.name)
        before = target.served.cpu()
        self._say("go")
        outcome = self._outcome(self._hear(), target.name)
        cpu = target.served.cpu() - before
        return Round(
            cpu=1e6 * cpu / outcome.answers, wall=1e6 * outcome.wall / outcome.answers, body_bytes=outcome.body_bytes
        )

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _expect_ready(self, name: str) -> None:
        heard = self._hear()
        if heard != "ready":
            raise RuntimeError(f"{name}: {heard}")

    @staticmethod
    def _outcome(heard: str, name: str) -> Outcome:
        told: dict[str, Any] = json.loads(heard)
        if "failed" in told:
            raise RuntimeError(f"{name}: {told['failed']}")
        return Outcome(**told)


@contextmanager
def client() -> Iterator[Client]:
    """A load client on the client's core."""
    command = [sys.executable, "-m", "bench.load"]
    with pinned(cores().client):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    with process:
        try:
            yield Client(process)
        finally:
            process.kill()


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What requests cost, round by round; the rounds of all that was compared stand in the same order."""

    rounds: tuple[Round, ...]

    @property
    def cpu(self) -> float:
        """Microseconds of CPU per request, in the middle."""
        return statistics.median(it.cpu for it in self.rounds)

    @property
    def wall(self) -> float:
        """Microseconds by the clock per request, in the middle: of one connection its latency, of many the pace."""
        return statistics.median(it.wall for it in self.rounds)

    @property
    def body_bytes(self) -> float:
        return statistics.median(it.body_bytes for it in self.rounds)

    def cpu_against(self, yardstick: "Costs") -> float:
        """The yardstick's CPU per request over ours, in the middle of the rounds: 1 is as cheap, more is cheaper."""
        pairs = zip(yardstick.rounds, self.rounds, strict=True)
        return statistics.median(bare.cpu / ours.cpu for bare, ours in pairs)

    def wall_against(self, yardstick: "Costs") -> float:
        """The same by the clock."""
        pairs = zip(yardstick.rounds, self.rounds, strict=True)
        return statistics.median(bare.wall / ours.wall for bare, ours in pairs)


def compare(
    load: Client, targets: Sequence[Target], *, connections: int, rounds: int, seconds: float
) -> dict[str, Costs]:
    """Ask each in turns, the first of a round another one each time, after a warm-up that does not count."""
    for target in targets:
        for _ in range(_WARM_ROUNDS):
            load.ask(target, connections=connections, seconds=seconds)
    found: dict[str, list[Round]] = {target.name: [] for target in targets}
    for number in range(rounds):
        first = number % len(targets)
        for target in (*targets[first:], *targets[:first]):
            found[target.name].append(load.ask(target, connections=connections, seconds=seconds))
    return {name: Costs(rounds=tuple(costs)) for name, costs in found.items()}
