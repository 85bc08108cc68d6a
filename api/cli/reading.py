"""Commands that look something up."""

import json
from typing import Any, Final

import click
from rich.table import Table

from api.cli.base import console, first_line, migrated, with_store
from api.cli.group import CouldNotError, cli
from api.schema import build_schema
from api.schema.context import Context
from api.settings import Settings
from models.services.access import BUILT_IN, COMMAND_LINE, named_asker
from models.store.unit import Store

_RESOLVE: Final = """
query ($beadId: ID!, $asOf: AsOf) {
  resolution(beadId: $beadId, asOf: $asOf) {
    townId beadId role model smallModel because overrideSetVersion profileName profileVersion fingerprint
    matchedRule { source key title role label rigId model specificity }
    considered { source key title model outcome }
  }
}
"""


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
    resolution: dict[str, Any] = ask(_RESOLVE, beadId=bead_id, asOf=as_of or None)["resolution"]
    if as_json:
        click.echo(json.dumps(resolution, ensure_ascii=False))
    else:
        _print_resolution(resolution)


@cli.command()
def schema() -> None:
    """Print the SDL."""
    click.echo(build_schema().as_str())


def ask(query: str, **variables: object) -> dict[str, Any]:
    """What the API answers to `query` on the database of the settings. A GraphQL error is what could not be done."""

    async def work(store: Store) -> dict[str, Any]:
        context = Context(store=store, asker=named_asker(BUILT_IN[COMMAND_LINE], request_id="cli"))
        result = await build_schema().execute(query, variable_values=variables, context_value=context)
        if result.errors:
            raise CouldNotError(first_line(result.errors[0].original_error or result.errors[0]))
        return result.data or {}

    return with_store(Settings(), lambda store: migrated(store, work))


def _print_resolution(resolution: dict[str, Any]) -> None:
    out = console()
    out.print(f"[bold]{resolution['beadId']}[/] runs on [bold]{resolution['model']}[/]", highlight=False)
    out.print(f"because: {resolution['because']}; small model {resolution['smallModel']}", highlight=False)
    out.print(
        f"town {resolution['townId']}, override set {resolution['overrideSetVersion']}, "
        f"profile {resolution['profileName']} version {resolution['profileVersion']}",
        highlight=False,
    )
    table = Table("rule", "from", "model", "what became of it")
    for rule in resolution["considered"]:
        style = "bold" if rule["outcome"] == "MATCHED" else None
        table.add_row(rule["key"].replace("[", r"\["), rule["source"], rule["model"], rule["outcome"], style=style)
    out.print(table)
