"""The groups of commands, which load a command when it is asked for: to serve takes what to list tokens does not."""

from collections.abc import Mapping
from importlib import import_module
from typing import IO, Any, Final

import click

from api.kept import kept


class CouldNotError(click.ClickException):
    """What was asked for could not be done: one line on standard error, exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"townclerk: {self.message}", err=True, file=file)


class Commands(click.Group):
    """Commands by name. `homes` says in which module of this package each is, and what it does."""

    def __init__(self, *, homes: Mapping[str, tuple[str, str]], **given: Any) -> None:
        super().__init__(**given)
        self.homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the base class names it
        return sorted(self.homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.homes:
            with kept():
                import_module(f"api.cli.{self.homes[cmd_name][0]}")
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.homes[name][1]) for name in self.list_commands(ctx)])


HOMES: Final = {
    "audit": ("audit", "Verify the record of changes, export it, or erase a person's name."),
    "backup": ("backing_up", "Copy the SQLite database to FILE, as it stands at one moment; writers go on meanwhile."),
    "demo": ("preparing", "Seed the demo town; does nothing where it exists."),
    "diff": ("history", "Show what differs between two override sets of a town, or between two versions of a profile."),
    "history": ("history", "Show who changed what, when and why, newest first."),
    "migrate": ("preparing", "Bring the database to the newest migration and fill an empty one."),
    "resolve": ("reading", "Show the model a bead runs on and every rule considered."),
    "schema": ("reading", "Print the SDL."),
    "serve": ("running", "Serve the API."),
    "token": ("token", "Make, list and revoke API tokens."),
}


@click.group(cls=Commands, homes=HOMES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="townclerk")
def cli() -> None:
    """Townclerk decides which model each bead runs on, says why, and keeps the record of every change."""
