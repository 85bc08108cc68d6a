"""`townclerk backup`: a copy of a SQLite database, taken while others write."""

from pathlib import Path

import click
from sqlalchemy import make_url

from api.cli.group import CouldNotError, cli
from api.settings import Settings
from models.store.backup import NotSoundError, back_up
from models.store.engine import async_url


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
def backup(file: Path, force: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Copy the SQLite database to FILE, as it stands at one moment; writers go on meanwhile."""
    url = async_url(Settings().database_url)
    if url.get_backend_name() != "sqlite":
        raise CouldNotError("PostgreSQL has its own ways to back up, such as pg_dump: see docs/backup.md")
    if file.exists() and not force:
        raise CouldNotError(f"{file} exists: name another file, or replace it with --force")
    source = Path(str(make_url(url).database))
    try:
        made = back_up(source, file)
    except NotSoundError as error:
        raise CouldNotError(f"no backup was made: {error}") from error
    click.echo(f"{file}: {made.chains} chains; central head {made.central_sequence}:{made.central_hash}")
