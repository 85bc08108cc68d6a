"""The console script. Exit codes: 0 done, 1 the answer is no, 2 could not be done (one line on standard error)."""

import sys

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from api.cli import audit, history, reading, running
from api.cli.base import CouldNotError, cli, first_line
from models.store.engine import UnusableDatabaseUrlError
from models.store.unit import StorageUnavailableError

COMMANDS = (audit, history, reading, running)  # imported so that the group knows them


def main() -> None:
    """Run the console script; whatever could not be done ends in one line and exit code 2."""
    try:
        cli()
    except (SQLAlchemyError, StorageUnavailableError, OSError) as error:
        trouble = f"the database can't be used: {first_line(error.__cause__ or error)}"
    except (UnusableDatabaseUrlError, ValidationError) as error:
        trouble = first_line(error)
    CouldNotError(trouble).show()
    sys.exit(CouldNotError.exit_code)
