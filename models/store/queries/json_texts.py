"""A JSON array of strings as a table, on both databases: for `IN` over any number of values with one parameter."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, TableValuedAlias, Text, bindparam, cast, select
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Texts(FunctionElement[str]):
    inherit_cache = True
    type = Text()


@compiles(_Texts, "sqlite")
def _sqlite(element: _Texts, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Texts, "postgresql")
def _postgresql(element: _Texts, compiler: SQLCompiler, **options: Any) -> str:
    (argument,) = element.clauses
    return f"json_array_elements_text({compiler.process(cast(argument, JSON), **options)})"


def table_of(texts: Iterable[str], name: str | None = None) -> TableValuedAlias:
    """A table of `texts`, whose only column is `value`."""
    array = bindparam(None, given(texts), type_=Text())
    return _Texts(array).table_valued("value", name=name)


def table_given(parameter: str) -> TableValuedAlias:
    """A table of texts that come with each execution, as `given` has them: the statement is made once."""
    return _Texts(bindparam(parameter, type_=Text())).table_valued("value")


def given(texts: Iterable[str]) -> str:
    """Texts as the value of a parameter."""
    return json.dumps(list(texts))


def is_among_given(column: Any, parameter: str) -> ColumnElement[bool]:
    """`is_among` for texts that come with each execution."""
    condition: ColumnElement[bool] = column.in_(select(table_given(parameter).c.value))
    return condition


def is_among(column: Any, texts: Iterable[str]) -> ColumnElement[bool]:
    """Whether the column's value is one of `texts`."""
    elements = table_of(texts)
    condition: ColumnElement[bool] = column.in_(select(elements.c.value))
    return condition


def holds_any(column: Any, texts: Iterable[str]) -> ColumnElement[bool]:
    """Whether the JSON array in `column` holds one of `texts`."""
    elements = _Texts(column).table_valued("value")
    return select(elements.c.value).where(elements.c.value.in_(list(texts))).exists()
