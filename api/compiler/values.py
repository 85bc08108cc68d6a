"""The values of a compiled operation: Python that reads them, checks them, and shapes them as they are answered."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Final, NamedTuple

from graphql import (
    GraphQLAbstractType,
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

from api.compiler.arguments import Asked, Call
from api.compiler.reading import Bail, class_of, reader_of, resolver_of

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


class Expression(NamedTuple):
    """A Python expression; one that `waits` can stand in a coroutine only."""

    text: str
    waits: bool = False


class Code:
    """Python that completes values. `collect` gives what is selected of an object of a type."""

    _passed = ""  # what each function is given besides the value that it completes

    def __init__(self, collect: Callable[[GraphQLObjectType, list[FieldDetails]], CollectedFields]) -> None:
        self._collect = collect
        self._scope: dict[str, Any] = {
            "missing": _missing,
            "each_of": _each_of,
            "each_awaited": _each_awaited,
            "together": _together,
            "INTS": _INTS,
        }
        self._numbers = count()
        self.fields = 0
        self.reads: set[tuple[str, str]] = set()  # types, and fields of theirs

    def completed(self, kind: GraphQLOutputType, details: list[FieldDetails], value: Expression) -> Expression:
        """An expression for what is answered of `value`."""
        self.fields += 1
        if not isinstance(kind, GraphQLNonNull):
            present = self._present(kind, details, Expression("it"))
            text = f"(None if (it := {value.text}) is None else {present.text})"
            return Expression(text, value.waits or present.waits)
        inner = kind.of_type
        if is_leaf_type(inner) and (inner in _REFUSE_NULL or isinstance(inner, GraphQLEnumType)):
            return self._leaf(inner, value)
        there = f"(it if (it := {value.text}) is not None else missing())"
        return self._present(inner, details, Expression(there, value.waits))

    def function(self, parts: Sequence[str], *, of: str) -> Callable[[Any], dict[str, Any]]:
        """A function of one parameter that answers a dict of `parts`."""
        made: Callable[[Any], dict[str, Any]] = self._function(Expression(f"{{{', '.join(parts)}}}"), of)
        return made

    def _present(self, kind: GraphQLOutputType, details: list[FieldDetails], value: Expression) -> Expression:
        """The same for a value that is not null."""
        if isinstance(kind, GraphQLList):
            item = self.completed(kind.of_type, details, Expression("item"))
            each = "await each_awaited" if item.waits else "each_of"
            made = self._named(self._function(item, "item"))
            return Expression(f"{each}({made}, {value.text}{self._passed})", item.waits or value.waits)
        if isinstance(kind, GraphQLObjectType):
            made, waits = self._selection(kind, groups(self._collect(kind, details)))
            return Expression(f"{'await ' if waits else ''}{made}({value.text}{self._passed})", waits or value.waits)
        if is_leaf_type(kind):
            return self._leaf(kind, value)
        raise Bail

    def _selection(
        self, kind: GraphQLObjectType, selected: Iterable[tuple[str, list[FieldDetails]]], *, waits: bool = False
    ) -> Expression:
        """A function that answers what is selected of an object, a coroutine function where it has to be or `waits`."""
        found = {key: self._field(kind, below) for key, below in selected}
        waiting = [key for key, each in found.items() if each.waits]
        before = ""
        if len(waiting) > 1:  # at once, so that they share what they have to read
            begun = [f"{self._named(self._function(found[key], 'parent'))}(parent{self._passed})" for key in waiting]
            before = f"done = await together({', '.join(begun)})"
            found |= {key: Expression(f"done[{number}]") for number, key in enumerate(waiting)}
        parts = ", ".join(f"{key!r}: {each.text}" for key, each in found.items())
        waits = waits or bool(waiting)
        return Expression(self._named(self._function(Expression(f"{{{parts}}}", waits), "parent", before)), waits)

    def _field(self, kind: GraphQLObjectType, details: list[FieldDetails]) -> Expression:
        """An expression for what is answered of a field of `parent`."""
        node = details[0].node
        if node.name.value == "__typename":
            return Expression(repr(kind.name))
        self.reads.add((kind.name, node.name.value))
        definition = kind.fields.get(node.name.value)
        if definition is None:
            raise Bail
        return self.completed(definition.type, details, self._read(definition, node))

    def _read(self, definition: GraphQLField, node: FieldNode) -> Expression:
        """An expression for what a field of `parent` holds."""
        if node.arguments:
            raise Bail
        reader = reader_of(definition)
        return Expression(f"parent.{reader}" if isinstance(reader, str) else f"{self._named(reader)}(parent)")

    def _leaf(self, kind: GraphQLLeafType, value: Expression) -> Expression:
        """Most leaves are of the very type that they are answered as; the executor's own function has the others."""
        if isinstance(kind, GraphQLEnumType):
            return Expression(f"{self._named(_Names(kind))}[{value.text}]", value.waits)
        if kind not in _REFUSE_NULL:
            return Expression(f"{self._named(_strictly(kind.coerce_output_value))}({value.text})", value.waits)
        coerced = f"{self._named(kind.coerce_output_value)}(leaf)"
        test = _REFUSE_NULL[kind].format(f"(leaf := {value.text})")
        return Expression(f"(leaf if {test} else {coerced})", value.waits)

    def _function(self, expression: Expression, parameter: str, before: str = "") -> Any:
        # Of the document it holds nothing but the keys of answers, as literals.
        begin = "async def" if expression.waits else "def"
        lines = [f"{begin} compiled({parameter}{self._passed}):", before, f"return {expression.text}"]
        source = "\n ".join(line for line in lines if line)
        exec(compile(source, "<compiled operation>", "exec"), self._scope)  # noqa: S102  # as dataclasses are made
        return self._scope.pop("compiled")

    def _named(self, it: Any) -> str:
        name = f"k{next(self._numbers)}"
        self._scope[name] = it
        return name


class ResolvingCode(Code):
    """Python that calls the resolvers of fields itself. `asked` are those that take arguments, in the order of `given`.

    All functions take `info`, which resolvers are given, and `given`, the calls that tell the arguments.
    """

    _passed = ", info, given"

    def __init__(
        self,
        collect: Callable[[GraphQLObjectType, list[FieldDetails]], CollectedFields],
        possible: Callable[[GraphQLAbstractType], Iterable[GraphQLObjectType]],
    ) -> None:
        super().__init__(collect)
        self._possible = possible
        self._scope["of_its_kind"] = _of_its_kind
        self.asked: list[Asked] = []

    def root(
        self, kind: GraphQLObjectType, selected: Iterable[tuple[str, list[FieldDetails]]]
    ) -> Callable[[None, Any, Sequence[Call]], Any]:
        """A function that answers what is selected of the root, or a coroutine function."""
        made: Callable[[None, Any, Sequence[Call]], Any] = self._scope[self._selection(kind, selected).text]
        return made

    def _present(self, kind: GraphQLOutputType, details: list[FieldDetails], value: Expression) -> Expression:
        if not isinstance(kind, GraphQLAbstractType):
            return super()._present(kind, details, value)
        made = {
            class_of(each): self._selection(each, groups(self._collect(each, details)), waits=True).text
            for each in self._possible(kind)
        }
        by_class = self._named({python: self._scope[name] for python, name in made.items()})
        return Expression(f"await of_its_kind({by_class}, {value.text}{self._passed})", waits=True)

    def _read(self, definition: GraphQLField, node: FieldNode) -> Expression:
        resolver = resolver_of(definition)
        if isinstance(resolver, str):
            return Expression(f"parent.{resolver}")
        passed = ["parent"]
        if resolver.takes_info:
            passed.append("info=info")
        if definition.args:
            passed.append(f"**given[{len(self.asked)}].arguments")
            self.asked.append(Asked(node.name.value, definition, node))
        called = f"{self._named(resolver.call)}({', '.join(passed)})"
        return Expression(f"(await {called})" if resolver.waits else called, resolver.waits)


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


def _of_its_kind(completes: Mapping[type, Callable[..., Any]], value: Any, *others: Any) -> Any:
    complete = completes.get(type(value)) or _missing()
    return complete(value, *others)


def _each_of(complete: Callable[..., Any], values: Any, *others: Any) -> list[Any]:
    if type(values) is not list and type(values) is not tuple:
        raise Bail
    return [complete(value, *others) for value in values] if others else [complete(value) for value in values]


async def _each_awaited(complete: Callable[..., Coroutine[Any, Any, Any]], values: Any, *others: Any) -> list[Any]:
    if type(values) is not list and type(values) is not tuple:
        raise Bail
    return await _together(*[complete(value, *others) for value in values])


async def _together(*works: Coroutine[Any, Any, Any]) -> list[Any]:
    """What each gives, all run at the same time. Where one fails the others are ended.

    No task group, which would cancel its own task when one fails: a timeout around it would be told apart no more.
    """
    if len(works) == 1:
        return [await works[0]]
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            if not task.cancelling():  # a second time would break off what it has to put in order
                task.cancel()
        await _ended(tasks)
        raise


async def _ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Wait until each has ended, also where another failure or a deadline comes upon it: it hears of this one then."""
    while not all(task.done() for task in tasks):
        with suppress(asyncio.CancelledError):
            await asyncio.wait(tasks)


def _strictly(coerce: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A scalar's function; where it makes nothing of a value, the executor has to tell."""
    if coerce is str:
        return str

    def coerced(value: Any) -> Any:
        found = coerce(value)
        return found if found is not None and found is not Undefined else _missing()

    return coerced
