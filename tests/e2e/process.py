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
from contextlib import ExitStack, contextmanager
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

SCRIPT: Final = Path(sys.executable).with_name("townclerk")
SECONDS: Final = 60  # for what takes one or two when there is nothing else to do

_CONTEXT: Final = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["api.cli"])
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


def townclerk(url: str, *arguments: str) -> Finished:
    """Run the console script's code to its end."""
    with _started(url, arguments) as (process, out, err):
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
def serving_process(url: str, **settings: float) -> Iterator[Server]:
    """`townclerk serve --dev` on a port that is free; it is killed in the end unless it has ended by then."""
    heard = Heard()
    environment = {f"TOWNCLERK_{name.upper()}": str(value) for name, value in settings.items()}
    with ExitStack() as stack:
        process, out, err = stack.enter_context(_started(url, ("serve", "--dev", "--port", "0"), heard, environment))
        stack.callback(process.join)
        stack.callback(process.kill)
        ready = _READY.search(heard.until(lambda line: _READY.search(line) is not None))
        assert ready is not None
        http = httpx2.Client(base_url=ready[1], timeout=SECONDS, trust_env=False)
        api = Api(cast("TestClient", stack.enter_context(http)), url)  # both post the same way
        yield Server(api=api, _process=process, _out=out, _err=err, _heard=heard)


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
    url: str, arguments: tuple[str, ...], heard: Heard | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[ForkServerProcess, Future[str], Future[str]]]:
    """A process with what it will have written to standard output and to standard error when it has ended."""
    with ExitStack() as stack:
        (out, childs_out), (err, childs_err) = _CONTEXT.Pipe(duplex=False), _CONTEXT.Pipe(duplex=False)
        for end in (out, err, childs_out, childs_err):
            stack.callback(end.close)
        environment = {**(environment or {}), "TOWNCLERK_DATABASE_URL": url}
        process = _CONTEXT.Process(target=_run, args=(environment, arguments, childs_out, childs_err))
        process.start()
        childs_out.close()
        childs_err.close()
        readers = stack.enter_context(ThreadPoolExecutor(2))
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


def _exit_code(process: ForkServerProcess) -> int:
    process.join(SECONDS)
    assert process.exitcode is not None, "it did not end"
    return process.exitcode


def _run(environment: Mapping[str, str], arguments: tuple[str, ...], out: Connection, err: Connection) -> None:
    """What the installed script does, with its output where the test reads it."""
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    os.environ.update(environment)
    sys.argv = [str(SCRIPT), *arguments]
    main()
