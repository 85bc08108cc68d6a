"""`townclerk audit forget`: a person's name is erased, and the record stays as it was."""

import json
import sys
from typing import Final

import click

from api.cli.audit import audit
from api.cli.base import migrated, with_store
from api.cli.group import CouldNotError
from api.settings import Settings
from models.domain.errors import NoChange, Refused
from models.services.access import COMMAND_LINE, built_in, forget_actor
from models.store.unit import Store

_ON_DISK: Final = (
    "the name is erased; to drop what is left of it on disk, run this again while nothing reads the database (SQLite) "
    "or VACUUM actors as the table's owner (PostgreSQL)"
)


@audit.command()
@click.argument("actor_id")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def forget(actor_id: str, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Erase the name behind an actor's id; exit code 1 where it was erased before."""

    async def work(store: Store) -> bool | None:
        try:
            return await forget_actor(store, built_in(COMMAND_LINE, request_id="forget"), actor_id)
        except Refused as refused:
            if isinstance(refused.problems[0], NoChange):
                return None
            raise CouldNotError(refused.problems[0].message) from refused

    dropped = with_store(Settings(), lambda store: migrated(store, work))
    outcome = "ALREADY_FORGOTTEN" if dropped is None else "FORGOTTEN"
    if as_json:
        click.echo(json.dumps({"actorId": actor_id, "outcome": outcome}))
    elif dropped is None:
        click.echo(f"{actor_id} was forgotten already.")
    else:
        click.echo(f"{actor_id} is forgotten: the record keeps the id and has no name for it.")
    if dropped is False:
        click.echo(f"townclerk: {_ON_DISK}", err=True)
    sys.exit(1 if dropped is None else 0)
