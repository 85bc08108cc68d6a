"""Checks of single input values. Each gives the problems found, as a list, so that a caller can gather them all."""

from collections.abc import Sized

from models.domain.errors import InvalidInput, Path, Problem, TooMany
from models.domain.vocabulary import (
    MAX_FILTER,
    MAX_IDEMPOTENCY_KEY,
    MAX_NAME,
    MAX_REASON,
    MAX_TITLE,
    MAX_VERSION,
    is_id,
    is_storable,
)


def id_problems(value: str, *path: str) -> list[Problem]:
    """For the id of a town, a rig or a bead that is about to be made."""
    if is_id(value):
        return []
    expected = "1 to 128 letters, digits and . _ : - that begin with a letter or digit"
    return [InvalidInput(path=path, expected=expected)]


def name_problems(value: str, *path: str) -> list[Problem]:
    return _text_problems(value, path, longest=MAX_NAME)


def title_problems(value: str, *path: str) -> list[Problem]:
    return _text_problems(value, path, longest=MAX_TITLE, blank_ok=True)


def label_problems(value: str, *path: str) -> list[Problem]:
    return _text_problems(value, path, longest=MAX_NAME)


def reason_problems(value: str | None, *, required: bool = True) -> list[Problem]:
    if value is None and not required:
        return []
    return _text_problems(value or "", ("reason",), longest=MAX_REASON)


def key_problems(value: str | None) -> list[Problem]:
    """For an idempotency key; None is a request without one."""
    return [] if value is None else _text_problems(value, ("idempotencyKey",), longest=MAX_IDEMPOTENCY_KEY)


def search_problems(value: str | None, *path: str) -> list[Problem]:
    """For text that is looked for; None and blank text look for nothing in particular."""
    return [] if value is None else _text_problems(value, path, longest=MAX_TITLE, blank_ok=True)


def list_problems(values: Sized | None, kind: str, *path: str) -> list[Problem]:
    """For a list that narrows a search."""
    if values is None or len(values) <= MAX_FILTER:
        return []
    return [TooMany(path=path, kind=kind, limit=MAX_FILTER, given=len(values))]


def version_problems(value: int, *path: str) -> list[Problem]:
    if 0 <= value <= MAX_VERSION:
        return []
    return [InvalidInput(path=path, expected=f"a version, from 0 to {MAX_VERSION}")]


def _text_problems(value: str, path: Path, *, longest: int, blank_ok: bool = False) -> list[Problem]:
    if not is_storable(value):
        return [InvalidInput(path=path, expected="text without NUL characters and lone surrogates")]
    if len(value) > longest:
        return [InvalidInput(path=path, expected=f"at most {longest} characters, not {len(value)}")]
    if not blank_ok and not any(char.isprintable() and not char.isspace() for char in value):
        return [InvalidInput(path=path, expected="text that is not blank")]
    return []
