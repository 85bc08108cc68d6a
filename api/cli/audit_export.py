"""`townclerk audit export`: the record of changes, as it is kept."""

import os
import sys
from collections.abc import AsyncIterator

import click

from api.audit_export import Format, Wanted, open_export
from api.cli.audit import audit
from api.cli.base import migrated, with_store
from api.cli.group import CouldNotError
from api.settings import Settings
from models.domain.errors import Refused
from models.domain.tokens import EVERYTHING
from models.domain.vocabulary import MAX_PAGE
from models.store.paging import Slice
from models.store.queries import towns
from models.store.unit import Store


@audit.command()
@click.option("--town", help="The town whose chain to export; without it, the central chain.")
@click.option("--all", "all_chains", is_flag=True, help="Every chain, one after the other, the central one first.")
@click.option("--format", "form", help="jsonl (lossless, the default) or csv (for spreadsheets).")
@click.option("--since", help="From an ISO 8601 instant on.")
@click.option("--until", help="Up to an ISO 8601 instant, which is left out itself.")
def export(town: str | None, all_chains: bool, form: str | None, since: str | None, until: str | None) -> None:  # noqa: FBT001  # click passes flags so
    """Write the record of changes to standard output."""
    if all_chains and town is not None:
        raise CouldNotError("either --town or --all, not both")
    if all_chains and form not in {None, Format.JSONL}:
        raise CouldNotError("--all exports jsonl only")

    async def work(store: Store) -> None:
        async for town_id in _chains(store) if all_chains else _one(town):
            async for chunk in await open_export(store, EVERYTHING, Wanted.read(town_id, form, since, until)):
                _write(chunk)

    try:
        with_store(Settings(), lambda store: migrated(store, work))
    except Refused as refused:
        raise CouldNotError(" ".join(problem.message for problem in refused.problems)) from refused
    except BrokenPipeError:
        # Whoever reads has seen enough. What is left in the buffer must find a taker when the program ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _one(town_id: str | None) -> AsyncIterator[str | None]:
    yield town_id


async def _chains(store: Store) -> AsyncIterator[str | None]:
    """None for the central chain, then the id of each town."""
    yield None
    after, more = None, True
    while more:
        async with store.read() as session:
            page = await towns.towns_page(session, name_contains=None, wanted=Slice(first=MAX_PAGE, after=after))
        for row in page.rows:
            yield row.town_id
            after = row.town_id
        more = page.has_next


def _write(chunk: bytes) -> None:
    try:
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CouldNotError(f"standard output can't be written to: {error.strerror}") from error
