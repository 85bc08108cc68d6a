"""The values of a compiled operation: Python that reads them, checks them, and shapes them as they are answered."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, Final

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    Undefined,
    is_leaf_type,
)
from graphql.execution.collect_fields import CollectedFields, FieldDetails
from graphql.language import FieldNode

from api.compiler.reading import Bail, reader_of

_INTS: Final = range(-(2**31), 2**31)

# Leaves whose function refuses null, with a test for a value that can be answered as it is.
_REFUSE_NULL: Final[dict[Any, str]] = {
    GraphQLString: "type({}) is str",
    GraphQLID: "type({}) is str",
    GraphQLInt: "type({}) is int and leaf in INTS",
    GraphQLBoolean: "type({}) is bool",
}


def groups(collected: CollectedFields) -> Iterator[tuple[str, list[FieldDetails]]]:
    """Fields by the key that they are answered under."""
    if collected.new_defer_usages:
        raise Bail
    yield from collected.grouped_field_set.items()


class Code:
    """Python that completes values. `collect` gives what is selected of an object of a type."""

    def __init__(self, collect: Callable[[GraphQLObjectType, list[FieldDetails]], CollectedFields]) -> None:
        self._collect = collect
        self._scope: dict[str, Any] = {"missing": _missing, "each_of": _each_of, "INTS": _INTS}
        self._numbers = count()
        self.fields = 0
        self.reads: set[tuple[str, str]] = set()  # types, and fields of theirs

    def completed(self, kind: GraphQLOutputType, details: list[FieldDetails], value: str) -> str:
        """An expression for what is answered of `value`, which is one as well."""
        self.fields += 1
        if not isinstance(kind, GraphQLNonNull):
            return f"(None if (it := {value}) is None else {self._present(kind, details, 'it')})"
        inner = kind.of_type
        if is_leaf_type(inner) and (inner in _REFUSE_NULL or isinstance(inner, GraphQLEnumType)):
            return self._leaf(inner, value)
        return self._present(inner, details, f"(it if (it := {value}) is not None else missing())")

    def function(self, parts: Sequence[str], *, of: str) -> Callable[[Any], dict[str, Any]]:
        """A function of one parameter that answers a dict of `parts`."""
        made: Callable[[Any], dict[str, Any]] = self._function(f"{{{', '.join(parts)}}}", of)
        return made

    def _present(self, kind: GraphQLOutputType, details: list[FieldDetails], value: str) -> str:
        """The same for a value that is not null."""
        if isinstance(kind, GraphQLList):
            item = self._function(self.completed(kind.of_type, details, "item"), "item")
            return f"each_of({self._named(item)}, {value})"
        if isinstance(kind, GraphQLObjectType):
            return f"{self._named(self._selection(kind, details))}({value})"
        if is_leaf_type(kind):
            return self._leaf(kind, value)
        raise Bail

    def _selection(self, kind: GraphQLObjectType, details: list[FieldDetails]) -> Callable[[Any], dict[str, Any]]:
        """A function that answers what is selected of an object."""
        parts = []
        for key, below in groups(self._collect(kind, details)):
            node = below[0].node
            if node.name.value == "__typename":
                parts.append(f"{key!r}: {kind.name!r}")
                continue
            self.reads.add((kind.name, node.name.value))
            definition = kind.fields[node.name.value]
            parts.append(f"{key!r}: {self.completed(definition.type, below, self._read(definition, node))}")
        return self.function(parts, of="parent")

    def _read(self, definition: GraphQLField, node: FieldNode) -> str:
        """An expression for what a field of `parent` holds."""
        if node.arguments:
            raise Bail
        reader = reader_of(definition)
        return f"parent.{reader}" if isinstance(reader, str) else f"{self._named(reader)}(parent)"

    def _leaf(self, kind: GraphQLLeafType, value: str) -> str:
        """Most leaves are of the very type that they are answered as; the executor's own function has the others."""
        if isinstance(kind, GraphQLEnumType):
            return f"{self._named(_Names(kind))}[{value}]"
        if kind not in _REFUSE_NULL:
            return f"{self._named(_strictly(kind.coerce_output_value))}({value})"
        coerced = f"{self._named(kind.coerce_output_value)}(leaf)"
        return f"(leaf if {_REFUSE_NULL[kind].format(f'(leaf := {value})')} else {coerced})"

    def _function(self, expression: str, parameter: str) -> Any:
        # Of the document it holds nothing but the keys of answers, as literals.
        source = f"def compiled({parameter}):\n return {expression}\n"
        exec(compile(source, "<compiled operation>", "exec"), self._scope)  # noqa: S102  # as dataclasses are made
        return self._scope.pop("compiled")

    def _named(self, it: Any) -> str:
        name = f"k{next(self._numbers)}"
        self._scope[name] = it
        return name


class _Names(dict[Any, str]):
    """What the members of an enum are called, as far as they were asked for."""

    def __init__(self, kind: GraphQLEnumType) -> None:
        super().__init__()
        self._coerce = kind.coerce_output_value

    def __missing__(self, member: Any) -> str:
        name = self[member] = self._coerce(member)  # which raises for what is no member
        return name


def _missing() -> Any:
    raise Bail


def _each_of(complete: Callable[[Any], Any], values: Any) -> list[Any]:
    if type(values) is not list and type(values) is not tuple:
        raise Bail
    return [complete(value) for value in values]


def _strictly(coerce: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A scalar's function; where it makes nothing of a value, the executor has to tell."""
    if coerce is str:
        return str

    def coerced(value: Any) -> Any:
        found = coerce(value)
        return found if found is not None and found is not Undefined else _missing()

    return coerced
