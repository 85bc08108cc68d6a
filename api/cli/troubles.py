"""What commands end in that is no fault of the program."""

from typing import Final

from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy.exc import SQLAlchemyError

from api.cli.base import first_line
from api.settings import Settings
from models.store.engine import UnusableDatabaseUrlError
from models.store.unit import StorageUnavailableError

_PREFIX: Final = str(Settings.model_config["env_prefix"])


def in_one_line(error: Exception) -> str | None:
    """What could not be done and why; None where nobody foresaw it."""
    match error:
        case SQLAlchemyError() | StorageUnavailableError() | OSError():
            return f"the database can't be used: {first_line(error.__cause__ or error)}"
        case UnusableDatabaseUrlError() | SettingsError():
            return first_line(error)
        case ValidationError():
            return "; ".join(
                f"{_PREFIX}{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()
            )
    return None
