"""Databases for tests: one migrated and seeded template a backend, copied for whoever wants a fresh one."""

import asyncio
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from models.services.seed import seed
from models.store.engine import open_database
from models.store.migrations import upgrade
from models.store.unit import Clock, Store, system_clock
from tests.postgres import postgres

BACKENDS = ("sqlite", "postgresql")


@dataclass
class Databases:
    """Makes databases of both kinds. Nothing is started before it is asked for."""

    folder: Path
    _stack: ExitStack = field(default_factory=ExitStack)
    _templates: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _made: list[str] = field(default_factory=list)
    _server: str | None = None

    def fresh(self, backend: str) -> str:
        """The URL of a database that is migrated, seeded and otherwise empty."""
        template = self._templates.get(backend)
        if template is None:
            template = self._templates[backend] = self.empty(backend)
            asyncio.run(prepare(template))
        return self.copy(backend, template)

    def dated(self, backend: str, clock: Clock) -> str:
        """The URL of a database like a fresh one, seeded by a clock of the test's own."""
        url = self.empty(backend)
        asyncio.run(prepare(url, clock))
        return url

    def empty(self, backend: str) -> str:
        """The URL of a database without tables."""
        name = f"townclerk_{os.getpid()}_{next(self._numbers)}"
        if backend == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        self._run(f'CREATE DATABASE "{name}"')
        self._made.append(name)
        return self._url(name)

    def drop(self, url: str) -> None:
        """Take a database away that nobody needs any more."""
        name = make_url(url).database or ""
        if name in self._made:
            self._run(f'DROP DATABASE "{name}" WITH (FORCE)')
            self._made.remove(name)
        else:
            for file in Path(name).parent.glob(f"{Path(name).name}*"):
                file.unlink()

    def close(self) -> None:
        for name in self._made if "TEST_DATABASE_URL" in os.environ else ():  # else they go with their server
            self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._stack.close()

    def renew(self, url: str, template: str) -> None:
        """Make the database at `url` a copy of the one at `template` once more; no one may be connected to either."""
        self.drop(url)
        self._copy(make_url(url).get_backend_name(), template, Path(make_url(url).database or "").stem)

    def copy(self, backend: str, template: str) -> str:
        """The URL of a copy of the database at `template`, to which no one may be connected."""
        return self._copy(backend, template, f"townclerk_{os.getpid()}_{next(self._numbers)}")

    def _copy(self, backend: str, template: str, name: str) -> str:
        source = make_url(template).database or ""
        if backend == "sqlite":
            copy = self.folder / f"{name}.db"
            shutil.copyfile(source, copy)
            return f"sqlite:///{copy}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY FILE_COPY')
        self._made.append(name)
        return self._url(name)

    def _url(self, name: str) -> str:
        return make_url(self.server).set(database=name).render_as_string(hide_password=False)

    @property
    def server(self) -> str:
        """The URL of a PostgreSQL server: the one of TEST_DATABASE_URL, else one started for this session."""
        if self._server is None:
            self._server = os.environ.get("TEST_DATABASE_URL") or self._stack.enter_context(postgres())
        return self._server

    def _run(self, statement: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self.server)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())


async def prepare(url: str, clock: Clock = system_clock) -> None:
    """Migrate and seed an empty database."""
    store = Store(database=open_database(url), clock=clock)
    try:
        await upgrade(store.database)
        await seed(store)
    finally:
        await store.dispose()
