"""The console script. Exit codes: 0 done, 1 the answer is no, 2 could not be done (one line on standard error)."""

import sys
from typing import Final

import click
from click.exceptions import NoArgsIsHelpError
from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy.exc import SQLAlchemyError

from api.cli import audit, audit_forget, audit_verify, backing_up, history, reading, running, token
from api.cli.base import CouldNotError, cli, first_line
from api.settings import Settings
from models.store.engine import UnusableDatabaseUrlError
from models.store.unit import StorageUnavailableError

_PREFIX: Final = str(Settings.model_config["env_prefix"])
# so that the group knows them
COMMANDS = (audit, audit_forget, audit_verify, backing_up, history, reading, running, token)


def main() -> None:
    """Run the console script; whatever could not be done ends in one line and exit code 2."""
    try:
        sys.exit(cli(standalone_mode=False))
    except click.Abort:
        sys.exit(130)  # as shells say it of what was interrupted
    except CouldNotError as error:
        trouble = error.message
    except NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        trouble = f"{' '.join(error.format_message().split())} (townclerk --help tells more)"
    except (SQLAlchemyError, StorageUnavailableError, OSError) as error:
        trouble = f"the database can't be used: {first_line(error.__cause__ or error)}"
    except (UnusableDatabaseUrlError, SettingsError) as error:
        trouble = first_line(error)
    except ValidationError as error:
        trouble = "; ".join(
            f"{_PREFIX}{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()
        )
    CouldNotError(trouble).show()
    sys.exit(CouldNotError.exit_code)
