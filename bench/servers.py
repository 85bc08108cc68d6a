"""The servers that are measured: started on a core of their own, asked what CPU they took, and ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

START_SECONDS: Final = 60.0
ROOT: Final = Path(__file__).resolve().parents[1]
TOWNCLERK: Final = Path(sys.executable).with_name("townclerk")

_CPU_CLOCK: Final = 2  # of a process, all its threads, those that ended too: see clock_getcpuclockid(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Where what is measured runs, and where the load that it is measured with does."""

    server: frozenset[int]
    client: frozenset[int]


def cores() -> Cores:
    """One core for the server and another for the client; where there is one, both have it."""
    there = sorted(os.sched_getaffinity(0))
    return Cores(server=frozenset(there[-1:]), client=frozenset(there[:1]))


ALL_CORES: Final = frozenset(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that answers."""

    name: str
    port: int
    pid: int

    def cpu(self) -> float:
        """Seconds of CPU, user and system, that its processes have taken so far."""
        return sum(map(_cpu, _family(self.pid)))


@contextmanager
def pinned(allowed: frozenset[int]) -> Iterator[None]:
    """What is started within stays on those cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, allowed)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def started(
    name: str,
    command: Sequence[str | Path],
    port: int,
    *,
    environment: Mapping[str, str] | None = None,
    log: Path,
    on: frozenset[int],
    folder: Path = ROOT,
) -> Iterator[Served]:
    """A server by its command, which listens on `port` of this machine; it ends with the block."""
    with log.open("ab") as output:
        process = _begin(command, {**os.environ, **(environment or {})}, output, on, folder)
        try:
            _await_listening(process, port, log)
            yield Served(name=name, port=port, pid=process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            for pid in reversed(_family(process.pid)) if process.poll() is None else ():
                os.kill(pid, signal.SIGKILL)
            process.wait()


def _begin(
    command: Sequence[str | Path], environment: dict[str, str], output: IO[bytes], on: frozenset[int], folder: Path
) -> subprocess.Popen[bytes]:
    with pinned(on):
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder
        )


def uvicorn(
    app: str, port: int, *, http: str = "httptools", workers: int = 1, factory: bool = False
) -> list[str | Path]:
    """The command of a plain uvicorn: uvloop, httptools, no access log."""
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--loop", "uvloop", "--http", http]
    command += ["--no-access-log", "--log-level", "warning", "--workers", str(workers)]
    return [*command, *(["--factory"] if factory else [])]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}: {_tail(log)}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not listen within {START_SECONDS:g} seconds: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-3000:]


def _family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
            found.extend(map(int, children.split()))
    return found


def _cpu(pid: int) -> float:
    with suppress(OSError):
        return time.clock_gettime((~pid << 3) | _CPU_CLOCK)
    return 0.0
