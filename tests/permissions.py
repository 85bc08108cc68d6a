"""The table of `docs/permissions.md`, read so that whatever is not understood fails."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.domain.tokens import Scope

YES: Final = "yes"
ALL: Final = "all"
REFUSED: Final = "-"
FORBIDDEN: Final = "FORBIDDEN"
INTROSPECTION: Final = "introspection, suggestions"
ASKED_BELOW: Final = {"Town": "Query.town", "Bead": "Query.bead"}  # the rows that those of a type's fields come after
SCOPES: Final = tuple(scope.value for scope in Scope)
_HEADER: Final = ("operation", *SCOPES, "of another's town")
_FOREIGN: Final = ("", "null", "NOT_FOUND", "left out")
_OPERATION: Final = re.compile(r"`((?:[A-Z][A-Za-z]*\.[a-z][A-Za-z]*)|(?:GET /[a-z/]+))`((?: of [a-z' ]+)?)")
_DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "permissions.md"


class TableError(Exception):
    """The table says something that the tests have no meaning for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """An operation, `case` where the table has several rows of it, and what each scope may. `foreign`: last column."""

    operation: str
    case: str
    cells: Mapping[str, str]
    foreign: str

    def __str__(self) -> str:
        return f"{self.operation}{self.case}".replace(" ", "_")

    @property
    def root(self) -> str:
        """The type of the schema that has it as a field; the first word of what is none."""
        return re.split("[. ]", self.operation)[0]

    @property
    def scopes(self) -> tuple[str, ...]:
        """Those that may at all, whether or not it takes a credential for all towns."""
        return tuple(scope for scope in SCOPES if self.cells[scope] != REFUSED)

    @property
    def field(self) -> str:
        """Its name within the root."""
        return self.operation.partition(".")[2]

    @property
    def is_of_town(self) -> bool:
        """Whether it is asked of a town, which may be another's."""
        return self.foreign != "" or self.root in ASKED_BELOW

    def answer(self, scopes: Collection[str], *, bound: bool, foreign: bool = False) -> str:
        """What a credential of `scopes` gets: `yes`, `FORBIDDEN`, or what the table says of another's town.

        `bound`: to its own towns, not for all; `foreign`: asking for another's. What is above a field comes first.
        """
        above = ASKED_BELOW.get(self.root)
        if above is not None and (first := BY_NAME[above].answer(scopes, bound=bound, foreign=foreign)) != YES:
            return first
        cells = {self.cells[scope] for scope in scopes}
        if YES not in cells and (ALL not in cells or bound):
            return FORBIDDEN
        return self.foreign if bound and foreign else YES


def read_table(text: str) -> tuple[Row, ...]:
    """The rows of the only table in a document. Raises `TableError`."""
    lines = [line for line in text.splitlines() if line.lstrip().startswith("|")]
    if len(lines) < 3 or text.count("\n".join(lines)) != 1:
        raise TableError("there has to be one table")
    header, rule, *rest = map(_cells, lines)
    if header != _HEADER or any(set(cell) != {"-"} for cell in rule):
        raise TableError(f"unknown columns: {header}")
    rows = tuple(map(_row, rest))
    names = [str(row) for row in rows]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TableError(f"rows that stand twice: {twice}")
    return rows


def _row(cells: tuple[str, ...]) -> Row:
    if len(cells) != len(_HEADER):
        raise TableError(f"a row of another length: {cells}")
    name, *said, foreign = cells
    found = _OPERATION.fullmatch(name)
    if found is None and name != INTROSPECTION:
        raise TableError(f"unknown operation: {name!r}")
    if not set(said) <= {YES, ALL, REFUSED} or foreign not in _FOREIGN:
        raise TableError(f"unknown cells: {cells}")
    operation, case = (name, "") if found is None else (found[1], found[2])
    return Row(operation=operation, case=case, cells=dict(zip(SCOPES, said, strict=True)), foreign=foreign)


def _cells(line: str) -> tuple[str, ...]:
    if not (line.startswith("| ") and line.endswith(" |")):
        raise TableError(f"unknown line: {line!r}")
    return tuple(cell.strip() for cell in line[1:-1].split("|"))


ROWS: Final = read_table(_DOCUMENT.read_text(encoding="utf-8"))
BY_NAME: Final = {str(row): row for row in ROWS}
