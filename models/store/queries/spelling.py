"""Values that SQLite takes for another value of a column's type: one instant in two spellings, a flag that is 2.

PostgreSQL's types allow one spelling each. SQLite keeps what it is given and compares that, so that a row may read like
one of ours and be found by no query.
"""

from functools import cache
from typing import Any, Final

from sqlalchemy import Boolean, ColumnElement, DateTime, Integer, LargeBinary, Text, and_, false, func, or_, type_coerce
from sqlalchemy.types import TypeDecorator

_INSTANT: Final = "[0-9]" * 4 + "-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]." + "[0-9]" * 6

_STORED_AS: Final = ((Integer, "integer"), (LargeBinary, "blob"), (Text, "text"))


@cache
def misspelt(table: Any, *, sqlite: bool) -> ColumnElement[bool]:
    """Whether a row of the table holds a value in another spelling than the one that is written."""
    return or_(false(), *(_misspelt(column) for column in table.__table__.columns)) if sqlite else false()


def _misspelt(column: Any) -> ColumnElement[bool]:
    kind = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
    stored_as = func.typeof(column)
    if isinstance(kind, DateTime):
        well = and_(stored_as == "text", type_coerce(column, Text).op("GLOB")(_INSTANT))
    elif isinstance(kind, Boolean):
        well = and_(stored_as == "integer", type_coerce(column, Integer).in_((0, 1)))
    else:
        name = next(name for known, name in _STORED_AS if isinstance(kind, known))
        well = stored_as == name
    return and_(column.is_not(None), ~well)
