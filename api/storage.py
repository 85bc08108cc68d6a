"""The store as the settings have it."""

from api.settings import Settings
from models.store.engine import Limits, open_database
from models.store.kept import KeptRows
from models.store.tables import TableCache
from models.store.unit import Clock, NewId, Store, random_id, system_clock


def open_store(settings: Settings, clock: Clock = system_clock, new_id: NewId = random_id) -> Store:
    """The store that the settings name. Raises `UnusableDatabaseUrlError`."""
    limits = Limits(
        pool_size=settings.database_pool_size,
        pool_overflow=settings.database_pool_overflow,
        pool_wait=settings.database_pool_wait_seconds,
        connect=settings.database_connect_timeout_seconds,
        statement=settings.database_statement_timeout_seconds,
        lock=settings.database_lock_timeout_seconds,
        idle_in_transaction=settings.database_idle_timeout_seconds,
    )
    database = open_database(settings.database_url, limits)
    size = settings.table_cache_size
    return Store(database=database, clock=clock, new_id=new_id, tables=TableCache(size), rows=KeptRows(size))
