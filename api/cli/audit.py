"""Commands about the audit record."""

from api.cli.base import cli


@cli.group()
def audit() -> None:
    """Verify the record of changes, export it, or erase a person's name."""
