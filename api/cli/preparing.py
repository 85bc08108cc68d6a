"""Commands that make a database ready."""

import click

from api.cli.base import migrated, with_store
from api.cli.group import CouldNotError, cli
from api.demo import seed_demo
from api.settings import Settings
from models.services.seed import seed
from models.store.migrations import upgrade
from models.store.roles import UnfitRoleError, check_app_role, grant_to_app_role
from models.store.unit import Store


@cli.command()
@click.option("--app-role", metavar="NAME", help="PostgreSQL: a role to grant what serving takes, and no more.")
def migrate(app_role: str | None) -> None:
    """Bring the database to the newest migration and fill an empty one with the shipped profiles and models."""

    async def work(store: Store) -> None:
        if app_role is not None:
            await check_app_role(store.database, app_role)
        await upgrade(store.database)
        await seed(store)
        if app_role is not None:
            await grant_to_app_role(store.database, app_role)

    try:
        with_store(Settings(), work)
    except UnfitRoleError as error:
        raise CouldNotError(str(error)) from error
    click.echo("The database is at the newest migration.")
    if app_role is not None:
        click.echo(f"The role {app_role!r} may serve it.")


@cli.command()
def demo() -> None:
    """Seed the demo town; does nothing where it exists."""
    made = with_store(Settings(), lambda store: migrated(store, seed_demo))
    click.echo("The demo town is there." if made else "The demo town was there already.")
