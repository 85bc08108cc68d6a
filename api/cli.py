"""The console script. Exit codes: 0 done, 1 the answer is no, 2 could not be done (one line on standard error)."""

import asyncio
import ipaddress
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import IO, Any, Final, TypeVar

import click
import uvicorn
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from api.app import open_store
from api.demo import seed_demo
from api.door import dev_caller
from api.observability import configure_logging
from api.schema import build_schema
from api.schema.context import Context
from api.settings import Settings
from models.services.seed import seed
from models.store.engine import UnusableDatabaseUrlError
from models.store.migrations import is_current, upgrade
from models.store.unit import StorageUnavailableError, Store

T = TypeVar("T")

_PIPED_WIDTH: Final = 200
_RESOLVE: Final = """
query ($beadId: ID!, $asOf: AsOf) {
  resolution(beadId: $beadId, asOf: $asOf) {
    townId beadId role model smallModel because overrideSetVersion profileName profileVersion fingerprint
    matchedRule { source key title role label rigId model specificity }
    considered { source key title model outcome }
  }
}
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="townclerk")
def cli() -> None:
    """Townclerk decides which model each bead runs on, says why, and keeps the record of every change."""


def main() -> None:
    """Run the console script; whatever could not be done ends in one line and exit code 2."""
    try:
        cli()
    except (SQLAlchemyError, StorageUnavailableError, OSError) as error:
        trouble = f"the database can't be used: {_first_line(error.__cause__ or error)}"
    except (UnusableDatabaseUrlError, ValidationError) as error:
        trouble = _first_line(error)
    CouldNotError(trouble).show()
    sys.exit(CouldNotError.exit_code)


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--dev", is_flag=True, help="Open to anyone on this machine; seeds the demo town in an empty database.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
def serve(host: str, port: int, dev: bool, workers: int) -> None:  # noqa: FBT001  # click passes flags so
    """Serve the API. A SQLite database is migrated; on PostgreSQL run `townclerk migrate` first."""
    if not dev:
        raise CouldNotError("there are no tokens yet, so it would be open to anyone: serve --dev on a loopback address")
    if not _is_loopback(host):
        raise CouldNotError(f"--dev serves loopback addresses only, and {host} is none")
    os.environ["TOWNCLERK_DEV"] = "true"
    settings = Settings()
    configure_logging(settings.log_level)
    _with_store(settings, lambda store: _prepare(store, demo=True))
    database = make_url(settings.database_url).render_as_string(hide_password=True)
    click.echo(f"Townclerk serves on http://{host}:{port}/graphql (dev mode, {database})")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it anew once all requests are answered
    uvicorn.run(
        "api.app:served_app", factory=True, host=host, port=port, workers=workers, log_config=None, access_log=False
    )


@cli.command()
def migrate() -> None:
    """Bring the database to the newest migration and fill an empty one with the shipped profiles and models."""

    async def work(store: Store) -> None:
        await upgrade(store.database)
        await seed(store)

    _with_store(Settings(), work)
    click.echo("The database is at the newest migration.")


@cli.command()
def demo() -> None:
    """Seed the demo town; does nothing where it exists."""
    made = _with_store(Settings(), lambda store: _migrated(store, seed_demo))
    click.echo("The demo town is there." if made else "The demo town was there already.")


@cli.command()
def schema() -> None:
    """Print the SDL."""
    click.echo(build_schema().as_str())


@cli.command()
@click.argument("bead_id")
@click.option("--at", help="As it stood at an ISO 8601 instant.")
@click.option("--version", type=int, help="As it stood when this override set came into force.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def resolve(bead_id: str, at: str | None, version: int | None, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Show the model a bead runs on and every rule considered."""
    if at is not None and version is not None:
        raise CouldNotError("either --at or --version, not both")
    as_of = {name: value for name, value in (("at", at), ("version", version)) if value is not None}
    variables = {"beadId": bead_id, "asOf": as_of or None}

    async def work(store: Store) -> dict[str, Any]:
        context = Context(store=store, caller=dev_caller(None, "cli"))
        result = await build_schema().execute(_RESOLVE, variable_values=variables, context_value=context)
        if result.errors:
            raise CouldNotError(_first_line(result.errors[0].original_error or result.errors[0]))
        found: dict[str, Any] = (result.data or {})["resolution"]
        return found

    resolution = _with_store(Settings(), lambda store: _migrated(store, work))
    if as_json:
        click.echo(json.dumps(resolution, ensure_ascii=False))
    else:
        _print_resolution(resolution)


def _print_resolution(resolution: dict[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    console.print(f"[bold]{resolution['beadId']}[/] runs on [bold]{resolution['model']}[/]", highlight=False)
    console.print(f"because: {resolution['because']}; small model {resolution['smallModel']}", highlight=False)
    console.print(
        f"town {resolution['townId']}, override set {resolution['overrideSetVersion']}, "
        f"profile {resolution['profileName']} version {resolution['profileVersion']}",
        highlight=False,
    )
    table = Table("rule", "from", "model", "what became of it")
    for rule in resolution["considered"]:
        style = "bold" if rule["outcome"] == "MATCHED" else None
        table.add_row(rule["key"].replace("[", r"\["), rule["source"], rule["model"], rule["outcome"], style=style)
    console.print(table)


def _with_store(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """What `work` gives for the store of the settings, in an event loop of its own."""

    async def run() -> T:
        store = open_store(settings)
        try:
            return await work(store)
        finally:
            await store.dispose()

    return asyncio.run(run())


async def _prepare(store: Store, *, demo: bool) -> None:
    """Make a database ready to serve: a SQLite one is migrated, a PostgreSQL one has to be."""
    if store.database.is_sqlite:
        await upgrade(store.database)
        await seed(store)
    await _migrated(store, _seed_demo_if_empty if demo else _nothing)


async def _migrated(store: Store, work: Callable[[Store], Awaitable[T]]) -> T:
    if not await is_current(store.database):
        raise UnusableDatabaseUrlError("the database is not at the newest migration: run townclerk migrate")
    return await work(store)


async def _seed_demo_if_empty(store: Store) -> None:
    await seed_demo(store, only_if_empty=True)


async def _nothing(_store: Store) -> None:
    pass


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class CouldNotError(click.ClickException):
    """What was asked for could not be done: one line on standard error, exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"townclerk: {self.message}", err=True, file=file)
