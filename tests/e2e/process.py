"""The console script in processes of its own, on real databases.

`townclerk` and `serving_process` fork from a process that has imported the program already: the same code on the same
terms as the installed script, which `script` runs, without two seconds of imports each time.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Condition
from typing import Final, cast

import httpx2
from starlette.testclient import TestClient

from api.cli import main
from tests.client import Api
from tests.postgres import PASSWORD

SCRIPT: Final = Path(sys.executable).with_name("townclerk")
SECONDS: Final = 60  # for what takes one or two when there is nothing else to do

_CONTEXT: Final = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.e2e.forked"])
_CREDENTIAL: Final = re.compile(r"tck_[0-9a-f]{16}_[0-9a-f]{16}|eyJ[\w-]{8,}\.[\w-]{8,}")
_READY: Final = re.compile(r"Uvicorn running on (http://\S+)")


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What came of a command."""

    code: int
    out: str
    err: str


def script(url: str, *arguments: str) -> Finished:
    """Run the installed console script to its end."""
    done = subprocess.run(
        [SCRIPT, *arguments],
        env={**os.environ, "TOWNCLERK_DATABASE_URL": url},
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr)


def townclerk(url: str, *arguments: str, **settings: float | str) -> Finished:
    """Run the console script's code to its end."""
    with _started(url, arguments, environment=_environment(settings)) as (process, out, err):
        return Finished(out=out.result(SECONDS), err=err.result(SECONDS), code=_exit_code(process))


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers; `api` asks it."""

    api: Api
    _process: ForkServerProcess
    _out: Future[str]
    _err: Future[str]
    _heard: "Heard"

    def until_logged(self, *words: str) -> None:
        """Wait until a line of its log holds all `words`."""
        self._heard.until(lambda line: all(word in line for word in words))

    def stop(self) -> int:
        """Ask it to end (SIGTERM); gives its exit code."""
        self._process.terminate()
        return _exit_code(self._process)

    def ask_to_end(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    @property
    def has_ended(self) -> bool:
        return self._process.exitcode is not None

    @property
    def waits_for_an_answer(self) -> bool:
        """Whether its first thread is held by a poll, as it is when it has asked a worker for a sign of life."""
        return "poll" in Path(f"/proc/{self._process.pid}/wchan").read_text(encoding="ascii")

    @property
    def workers(self) -> list[int]:
        """The ids of the processes that it has started and that serve."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in children.split() if b"spawn_main" in _command(pid)]

    @contextmanager
    def growing_less_than(self, size: int) -> Iterator[None]:
        """At no moment while it is done has the process so many bytes more of memory than before."""
        process = Path(f"/proc/{self._process.pid}")

        def peak() -> int:
            return 1024 * int(process.joinpath("status").read_text(encoding="ascii").partition("VmHWM:")[2].split()[0])

        process.joinpath("clear_refs").write_text("5", encoding="ascii")  # the peak is what there is now (proc(5))
        before = peak()
        yield
        assert peak() - before < size

    def kill(self) -> None:
        """End it on the spot (SIGKILL)."""
        self._process.kill()
        _exit_code(self._process)

    @property
    def out(self) -> str:
        """What it has written to standard output, once it has ended."""
        return self._out.result(SECONDS)

    @property
    def log(self) -> list[str]:
        """The lines that it has written to standard error, once it has ended."""
        return self._err.result(SECONDS).splitlines()


@contextmanager
def serving_process(
    url: str, *arguments: str, dev: bool = True, plant: Callable[[], None] | None = None, **settings: float | str
) -> Iterator[Server]:
    """`townclerk serve` on a port that is free; it is killed in the end unless it has ended by then.

    `plant` is called in the process before it begins: a fault that a test has to find. Whatever was asked of it, no
    credential stands in what it wrote.
    """
    heard = Heard()
    environment = _environment(settings)
    with ExitStack() as stack:
        command = ("serve", *(["--dev"] if dev else []), "--port", "0", *arguments)
        process, out, err = stack.enter_context(_started(url, command, heard, environment, plant))
        stack.callback(lambda: spills_nothing(out.result(SECONDS) + err.result(SECONDS)))
        stack.callback(process.join)
        stack.callback(process.kill)
        ready = _READY.search(heard.until(lambda line: _READY.search(line) is not None))
        assert ready is not None
        http = httpx2.Client(base_url=ready[1], timeout=SECONDS, trust_env=False)
        api = Api(cast("TestClient", stack.enter_context(http)), url)  # both post the same way
        yield Server(api=api, _process=process, _out=out, _err=err, _heard=heard)


def _environment(settings: Mapping[str, float | str]) -> dict[str, str]:
    return {f"TOWNCLERK_{name.upper()}": str(value) for name, value in settings.items()}


def spills_nothing(written: str) -> None:
    """Fails where a token of ours or of an issuer stands in what a process wrote, or the password of a database."""
    assert _CREDENTIAL.search(written) is None
    assert PASSWORD not in written


class Heard:
    """The lines that a process has written to standard error so far."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = Condition()
        self._ended = False

    def hear(self, line: str | None) -> None:
        """One more line; None where there are no more."""
        with self._more:
            if line is None:
                self._ended = True
            else:
                self._lines.append(line)
            self._more.notify_all()

    def until(self, wanted: Callable[[str], bool]) -> str:
        """The first line that is `wanted`, waited for."""
        with self._more:
            self._more.wait_for(lambda: self._ended or any(map(wanted, self._lines)), SECONDS)
            found = next(filter(wanted, self._lines), None)
        assert found is not None, "it did not say so: " + "".join(self._lines)
        return found


@contextmanager
def _started(
    url: str,
    arguments: tuple[str, ...],
    heard: Heard | None = None,
    environment: Mapping[str, str] | None = None,
    plant: Callable[[], None] | None = None,
) -> Iterator[tuple[ForkServerProcess, Future[str], Future[str]]]:
    """A process with what it will have written to standard output and to standard error when it has ended."""
    with ExitStack() as stack:
        (out, childs_out), (err, childs_err) = _CONTEXT.Pipe(duplex=False), _CONTEXT.Pipe(duplex=False)
        for end in (out, err, childs_out, childs_err):
            stack.callback(end.close)
        environment = {**(environment or {}), "TOWNCLERK_DATABASE_URL": url}
        process = _CONTEXT.Process(target=_run, args=(environment, arguments, childs_out, childs_err, plant))
        process.start()
        childs_out.close()
        childs_err.close()
        readers = stack.enter_context(ThreadPoolExecutor(2))
        stack.callback(process.kill)  # one that should have ended and did not, or its readers wait for ever
        yield process, readers.submit(_read, out, None), readers.submit(_read, err, heard)


def _read(end: Connection, heard: Heard | None) -> str:
    """All that comes until the other end is closed."""
    lines = []
    with os.fdopen(os.dup(end.fileno()), encoding="utf-8") as stream:
        for line in stream:
            lines.append(line)
            if heard is not None:
                heard.hear(line)
    if heard is not None:
        heard.hear(None)
    return "".join(lines)


def _command(pid: str) -> bytes:
    """How a process was called; nothing where it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _exit_code(process: ForkServerProcess) -> int:
    process.join(SECONDS)
    assert process.exitcode is not None, "it did not end"
    return process.exitcode


def _run(
    environment: Mapping[str, str],
    arguments: tuple[str, ...],
    out: Connection,
    err: Connection,
    plant: Callable[[], None] | None,
) -> None:
    """What the installed script does, with its output where the test reads it."""
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    sys.stdin = os.fdopen(os.dup2(os.open(os.devnull, os.O_RDONLY), 0))  # workers are handed the one of their parent
    os.environ.update(environment)
    if plant is not None:
        plant()
    sys.argv = [str(SCRIPT), *arguments]
    main()
