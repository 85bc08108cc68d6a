"""The console script. Exit codes: 0 done, 1 the answer is no, 2 could not be done (one line on standard error)."""

import sys

import click
from click.exceptions import NoArgsIsHelpError

from api.cli.group import CouldNotError, cli


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
    except Exception as error:
        from api.cli.troubles import in_one_line  # noqa: PLC0415  # it loads what commands load that can end so

        told = in_one_line(error)
        if told is None:
            raise
        trouble = told
    CouldNotError(trouble).show()
    sys.exit(CouldNotError.exit_code)
