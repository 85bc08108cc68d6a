"""The commands about the audit record."""

from typing import Final

from api.cli.group import Commands, cli

HOMES: Final = {
    "export": ("audit_export", "Write the record of changes to standard output."),
    "forget": ("audit_forget", "Erase the name behind an actor's id; exit code 1 where it was erased before."),
    "verify": ("audit_verify", "Show that no one touched the record, or where it was touched first."),
}


@cli.group(cls=Commands, homes=HOMES)
def audit() -> None:
    """Verify the record of changes, export it, or erase a person's name."""
