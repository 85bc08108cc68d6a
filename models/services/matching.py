"""Rows that entries call for, held against the rows that are stored."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlmodel import SQLModel

from models.domain.verification import ChainBrokenError, FaultCode


def match(
    sequence: int | None,
    expected: Iterable[SQLModel],
    stored: Iterable[SQLModel],
    *,
    aside: frozenset[str] = frozenset(),
) -> None:
    """Hold rows against each other by their keys; columns `aside` do not count. Raises `ChainBrokenError`."""
    by_key: dict[tuple[object, ...], SQLModel] = {}
    for row in stored:
        if by_key.setdefault(_key(row, aside), row) is not row:
            raise unexplained(row)
    for row in expected:
        found = by_key.pop(_key(row, aside), None)
        if found is None:
            raise ChainBrokenError(FaultCode.ROW_MISSING, sequence, f"{_name(row)} is missing")
        values = {name: value for name, value in row.model_dump().items() if name not in aside}
        if differing := differing_columns(values, found):
            raise ChainBrokenError(FaultCode.ROW_DIFFERS, sequence, f"{_name(found)} differs in {differing}")
    for row in by_key.values():
        raise unexplained(row)


def differing_columns(expected: Mapping[str, object], row: SQLModel) -> str:
    """The names of the columns in which `row` is not as expected."""
    return ", ".join(name for name, value in expected.items() if getattr(row, name) != value)


def _key(row: SQLModel, aside: frozenset[str] = frozenset()) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in _table(row).primary_key.columns.keys() if name not in aside)  # noqa: SIM118  # columns, not a dict


def _name(row: SQLModel) -> str:
    return f"{_table(row).name} {' '.join(map(str, _key(row)))}"


def _table(row: SQLModel) -> Any:
    return type(row).__table__  # type: ignore[attr-defined]  # every class of a table has one


def unexplained(row: SQLModel) -> ChainBrokenError:
    """That no entry tells of `row`."""
    return ChainBrokenError(FaultCode.ROW_UNEXPLAINED, None, f"no entry tells of {_name(row)}")
