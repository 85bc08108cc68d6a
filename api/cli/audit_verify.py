"""`townclerk audit verify`: from the database, or from an export alone."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from api.cli.audit import audit
from api.cli.base import first_line, migrated, shown, with_store
from api.cli.group import CouldNotError
from api.settings import Settings
from models.domain.audit import CENTRAL_CHAIN
from models.domain.errors import Refused
from models.domain.export_check import MAX_LINE, ExportVerification, NotAnExportError, verify_export
from models.domain.tokens import EVERYTHING
from models.domain.verification import Head, Verification
from models.services.verification import count_entries, verify_all, verify_one
from models.store.unit import Store

_HEAD: Final = re.compile(r"(0|[1-9][0-9]{0,9}):([0-9a-f]{64})")


class HeadType(click.ParamType[Head]):
    """A head as one writes it down: SEQ:HASH."""

    name = "SEQ:HASH"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Head:
        """Raises `click.BadParameter`."""
        if (parts := _HEAD.fullmatch(value.strip().lower())) is None:
            self.fail("write a head as SEQ:HASH: its sequence and 64 hexadecimal digits", param, ctx)
        return Head(sequence=int(parts[1]), hash=parts[2])


@audit.command()
@click.option("--town", help=f"Only the chain of this town; {CENTRAL_CHAIN}: the central one.")
@click.option("--file", "path", type=click.Path(path_type=Path), help="An export (JSONL); no database is needed.")
@click.option("--expect-head", "expected", type=HeadType(), help="A head that the chain has to contain.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one object a chain and line.")
def verify(town: str | None, path: Path | None, expected: Head | None, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Show that no one touched the record, or where it was touched first.

    Without --town every chain of the database is verified; --expect-head is then a head of the central one. Exit codes:
    0 all is well, 1 something is not, 2 it could not be looked at.
    """
    found = _from_database(town, expected) if path is None else _from_file(path, town, expected)
    for each in found:
        if as_json:
            click.echo(json.dumps(_as_json(each)))
        elif len(found) == 1 or not each.verification.ok or each.first > 1:  # of a part one has to hear
            click.echo(shown(_in_words(each)).plain)
    bad = sum(not each.verification.ok for each in found)
    if len(found) > 1 and not as_json:
        entries = sum(each.verification.entries for each in found)
        outcome = f"{bad} of them not as they should be" if bad else "all is well"
        click.echo(f"{len(found)} chains with {entries} entries: {outcome}.")
    sys.exit(1 if bad else 0)


def _from_database(town: str | None, expected: Head | None) -> list[ExportVerification]:
    async def work(store: Store) -> list[Verification]:
        with _progress(await count_entries(store, town)) as advance:
            if town is not None:
                return [await verify_one(store, EVERYTHING, town, expected=expected, progress=advance)]
            return [each async for each in verify_all(store, expected=expected, progress=advance)]

    try:
        found = with_store(Settings(), lambda store: migrated(store, work))
    except Refused as refused:
        raise CouldNotError(first_line(refused)) from refused
    return [ExportVerification(verification=each, first=min(each.entries, 1)) for each in found]


def _from_file(path: Path, town: str | None, expected: Head | None) -> list[ExportVerification]:
    try:
        with path.open("rb") as file, _progress(path.stat().st_size) as advance:

            def lines() -> Iterator[bytes]:
                while line := file.readline(MAX_LINE + 1):
                    advance(len(line))
                    yield line

            found = list(verify_export(lines(), chain=town, expected=expected))
    except OSError as error:
        raise CouldNotError(f"{path} can't be read: {error.strerror}") from error
    except NotAnExportError as error:
        raise CouldNotError(f"{path} is no export: {error}") from error
    if town is not None and town not in {each.verification.chain for each in found}:
        raise CouldNotError(f"{path} does not hold the chain of the town {town}")
    if town is None and expected is not None and len(found) > 1:
        raise CouldNotError(f"{path} holds several chains: say with --town whose head is expected")
    return found


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error where that is a terminal; gives what is to be called as work gets done."""
    columns = (TextColumn("verifying"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)


def _as_json(found: ExportVerification) -> dict[str, object]:
    verification = found.verification
    fault = verification.fault
    return {
        "townId": None if verification.chain == CENTRAL_CHAIN else verification.chain,
        "ok": verification.ok,
        "entries": verification.entries,
        "firstSequence": found.first,
        "head": {"sequence": verification.head.sequence, "hash": verification.head.hash},
        "firstBadSequence": None if fault is None else fault.sequence,
        "problemCode": None if fault is None else fault.code.name,
        "problem": None if fault is None else fault.message,
    }


def _in_words(found: ExportVerification) -> str:
    verification, fault = found.verification, found.verification.fault
    name = "the central chain" if verification.chain == CENTRAL_CHAIN else f"town {verification.chain}"
    if fault is not None:
        where = "" if fault.sequence is None else f" at sequence {fault.sequence}"
        return f"{name}: {fault.code.name}{where}: {fault.message}"
    if verification.entries == 0:
        return f"{name}: no entries"
    head = f"head {verification.head.sequence}:{verification.head.hash}"
    part = "" if found.first == 1 else f", a part that begins with sequence {found.first}"
    return f"{name}: {verification.entries} entries hold{part}; {head}"
