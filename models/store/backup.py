"""SQLite's online backup: a copy of one moment, written beside its name and put in place once it is whole."""

import os
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.domain.audit import CENTRAL_CHAIN

_PAGES_A_STEP: Final = 1000
_BUSY_SECONDS: Final = 30.0


_OF_A_DATABASE: Final = ("", "-wal", "-shm", "-journal")  # what SQLite keeps it in


class NotSoundError(Exception):
    """What was to be backed up, or the copy of it, is no sound Townclerk database; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup holds: how many chains, and the head of the central one, by which it can be verified later."""

    chains: int
    central_sequence: int
    central_hash: str


def back_up(source: Path, target: Path) -> Backup:
    """Copy the database `source` to `target`, which is replaced in one step or left as it was.

    Holds a snapshot of the source meanwhile, so that the copy neither waits for writers nor starts anew for them.
    Raises `NotSoundError` and OSError.
    """
    place = target.resolve()
    if place in {source.resolve().with_name(source.resolve().name + suffix) for suffix in _OF_A_DATABASE}:
        raise NotSoundError(f"{target} is a file of the database itself")
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    log = target.with_name(f"{target.name}-wal")
    if log.exists() and log.stat().st_size:
        raise NotSoundError(f"{log} belongs to another database in the place of the copy, which would be mixed with it")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # a copy of secrets is a secret
        made = _copy(source, part)
        _sync(part)
        part.replace(target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise NotSoundError(str(error)) from error
    finally:
        for suffix in _OF_A_DATABASE:
            part.with_name(part.name + suffix).unlink(missing_ok=True)
    return made


def _copy(source: Path, part: Path) -> Backup:
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_SECONDS)) as origin,
        closing(sqlite3.connect(part, isolation_level=None)) as copy,
    ):
        origin.isolation_level = None
        origin.execute("BEGIN")
        origin.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # which is when the snapshot is taken
        origin.backup(copy, pages=_PAGES_A_STEP)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
        problems = [row[0] for row in copy.execute("PRAGMA integrity_check(10)")]
        if problems != ["ok"]:
            raise NotSoundError(problems[0])
        found = copy.execute("SELECT audit_sequence, audit_hash FROM heads WHERE chain = ?", (CENTRAL_CHAIN,))
        head = found.fetchone()
        if head is None:
            raise NotSoundError("the database holds no central chain: run townclerk migrate")
        (chains,) = copy.execute("SELECT count(*) FROM heads").fetchone()
        return Backup(chains=chains, central_sequence=head[0], central_hash=head[1])


def _sync(path: Path) -> None:
    """Have what was written to a file or folder reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
