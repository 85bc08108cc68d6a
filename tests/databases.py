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
from models.store.unit import Store
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

    def empty(self, backend: str) -> str:
        """The URL of a database without tables."""
        name = f"townclerk_{os.getpid()}_{next(self._numbers)}"
        if backend == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        self._run(f'CREATE DATABASE "{name}"')
        self._made.append(name)
        return self._url(name)

    def close(self) -> None:
        for name in self._made:
            self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._stack.close()

    def copy(self, backend: str, template: str) -> str:
        """The URL of a copy of the database at `template`, to which no one may be connected."""
        name = f"townclerk_{os.getpid()}_{next(self._numbers)}"
        source = make_url(template).database or ""
        if backend == "sqlite":
            copy = self.folder / f"{name}.db"
            shutil.copyfile(source, copy)
            return f"sqlite:///{copy}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
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


async def prepare(url: str) -> None:
    """Migrate and seed an empty database."""
    store = Store(database=open_database(url))
    try:
        await upgrade(store.database)
        await seed(store)
    finally:
        await store.dispose()
