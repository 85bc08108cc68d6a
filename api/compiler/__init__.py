"""GraphQL operations compiled to Python: a valid query, turned once into functions that answer it without an executor.

An executor looks at the document anew for each request: it collects fields, merges fragments, finds resolvers and
completes values, tens of microseconds for each object. All of that depends on the document and the schema alone, and is
done here once. What is left for each request is generated code: read, check, put into a dict.

There are two ways. `compile_operation` compiles queries over the root fields that it is told of; values are given it.
What stands below them has to be read from its parent alone: attributes, resolvers that take nothing but `self`, and
others that name such a reader (`READER` in their metadata). `compile_with_resolvers` compiles any query, and mutations
of one field, and calls resolvers with all that they take; those that wait side by side wait at the same time.

Aliases, fragments, `@skip` and `@include`, lists, enums and scalars are the executor's own: the same functions of
graphql-core collect the fields, coerce the arguments and serialise the leaves.

Anything else raises `Bail`, when it is compiled or when it is run: a type, a directive or an argument that is not
known, a null that may not be, any error at all. Whoever calls it then asks the executor, whose answer is the truth. So
compiled code never answers with errors, and never in part.

It knows graphql-core 3.3 and Strawberry, and nothing of what a schema is about::

    operation = compile_operation(schema, document, None, roots={"user"})
    plan = operation.plan(variables)
    calls = plan.calls(variables)           # [Call("user", {"id": "7"})]
    values = [users[call.arguments["id"]] for call in calls]
    plan.answer(values)                     # {"user": {"name": "Ada"}}

    operation = compile_with_resolvers(schema, document, None)
    await operation.plan(variables).run(variables, info)  # the same
"""

from collections.abc import Awaitable, Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Final, Generic, TypeVar, cast

import strawberry
from graphql import GraphQLObjectType, OperationType, get_operation_ast
from graphql.execution.collect_fields import (
    CollectedFields,
    FieldDetails,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues
from graphql.language import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    NullValueNode,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)

from api.compiler.arguments import Asked, Call, calls_of, named_type
from api.compiler.inputs import Variables
from api.compiler.reading import READER, Bail
from api.compiler.values import Code, Expression, ResolvingCode, groups

__all__ = [
    "READER",
    "Bail",
    "Call",
    "CompiledOperation",
    "Plan",
    "ResolvingPlan",
    "compile_operation",
    "compile_with_resolvers",
]

_MOST_CONDITIONS: Final = 2  # variables of @skip and @include; each doubles the plans that there may be
_CONDITIONS: Final = frozenset({"skip", "include"})


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is left of an operation once it is known which fields are skipped.

    `fields` are the names of those of the root, each once, and `reads` all that it reads below them, as (type, field).
    `calls` gives what has to be known for an answer; `answer` takes a value for each call, and gives the result's
    `data`. Both raise `Bail`, and `answer` whatever a reader or a scalar raises. `number` is no other plan's: what is
    kept by it does not keep the plan, and the document that it was made from, as well.
    """

    fields: tuple[str, ...]
    reads: frozenset[tuple[str, str]]
    calls: Callable[[Variables], list[Call]]
    answer: Callable[[Sequence[Any]], dict[str, Any]]
    number: int = field(default_factory=count().__next__)


@dataclass(frozen=True, slots=True)
class ResolvingPlan:
    """The same of an operation whose fields have their resolvers called, each with what is given as `info`.

    `kind` is query or mutation. `run` gives the result's `data`. It raises `Bail`, and what a resolver or a scalar
    raises. What is a mutation may have been made then: whoever asks the executor after that sees to it that it is not
    made twice.
    """

    kind: str
    fields: tuple[str, ...]
    run: Callable[[Variables, Any], Awaitable[dict[str, Any]]]


P = TypeVar("P", Plan, ResolvingPlan)


@dataclass(slots=True)
class CompiledOperation(Generic[P]):
    """An operation, with a plan for each combination of what its conditions have been so far."""

    conditions: tuple[str, ...]
    make: Callable[[Mapping[str, bool]], P]
    _plans: dict[tuple[bool, ...], P] = field(default_factory=dict)

    def plan(self, variables: Variables) -> P:
        """The plan for those variables. Raises `Bail`."""
        given = tuple([variables.get(name) for name in self.conditions]) if self.conditions else ()
        found = self._plans.get(given)  # type: ignore[arg-type]  # what is no Boolean may equal one
        for each in given:
            if type(each) is not bool:
                raise Bail
        return found or self._made(cast("tuple[bool, ...]", given))

    def _made(self, given: tuple[bool, ...]) -> P:
        made = self._plans[given] = self.make(dict(zip(self.conditions, given, strict=True)))
        return made


def compile_operation(
    schema: strawberry.Schema,
    document: DocumentNode,
    operation_name: str | None,
    *,
    roots: Collection[str],
    without: Container[str] = (),
    charge: Callable[[int], None] = lambda _fields: None,
) -> CompiledOperation[Plan]:
    """Compile an operation of a document that is valid against `schema`. Raises `Bail` where that can't be done.

    `roots` are the fields of the query type that whoever runs it can give values for, as long as arguments of names in
    `without` are null. `charge` is told of each plan, as it is made, how many fields it has: some 300 bytes each.
    """
    compiler = _compiler(schema, document, operation_name, charge, OperationType.QUERY)
    return _compiled(compiler, partial(compiler.plan, roots, without))


def compile_with_resolvers(
    schema: strawberry.Schema,
    document: DocumentNode,
    operation_name: str | None,
    *,
    charge: Callable[[int], None] = lambda _fields: None,
) -> CompiledOperation[ResolvingPlan]:
    """Compile a query of any fields, whose resolvers are called, as `compile_operation` does others. Raises `Bail`.

    A mutation is compiled where it has one field: several are resolved one after the other.
    """
    compiler = _compiler(schema, document, operation_name, charge, OperationType.QUERY, OperationType.MUTATION)
    return _compiled(compiler, compiler.resolving_plan)


def _compiler(
    schema: strawberry.Schema,
    document: DocumentNode,
    operation_name: str | None,
    charge: Callable[[int], None],
    *kinds: OperationType,
) -> "_Compiler":
    chosen = get_operation_ast(document, operation_name)
    if chosen is None or chosen.operation not in kinds or chosen.directives:
        raise Bail
    return _Compiler(schema, document, chosen, charge)


def _compiled(compiler: "_Compiler", make: Callable[[Mapping[str, bool]], P]) -> CompiledOperation[P]:
    conditions = compiler.conditions()
    compiled = CompiledOperation(conditions, make)
    compiled.plan(dict.fromkeys(conditions, True))  # so that most of what can't be compiled shows now
    return compiled


def _conditions(document: DocumentNode, operation: OperationDefinitionNode) -> tuple[str, ...]:
    """The variables that decide what is skipped, each a `Boolean!` without a default. Raises `Bail`."""
    found = _Directives()
    visit(document, found)
    declared = {each.variable.name.value: each for each in operation.variable_definitions or ()}
    names = tuple(name for name in found.variables if name in declared)  # the others are other operations'
    if len(names) > _MOST_CONDITIONS:
        raise Bail
    for name in names:
        if declared[name].default_value is not None or named_type(declared[name].type) != ("Boolean", False):
            raise Bail
    return names


def _says(node: FieldNode, names: Container[str]) -> bool:
    """Whether a field is given an argument of those names, whatever the variables are."""
    by_chance = (VariableNode, NullValueNode)
    return any(each.name.value in names and not isinstance(each.value, by_chance) for each in node.arguments or ())


class _Directives(Visitor):
    """Finds the variables of `@skip` and `@include`; raises `Bail` for any other directive."""

    def __init__(self) -> None:
        super().__init__()
        self.variables: dict[str, None] = {}

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        if node.name.value not in _CONDITIONS:
            raise Bail
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                self.variables[argument.value.name.value] = None


class _Compiler:
    """Makes the plans of one operation."""

    def __init__(
        self,
        schema: strawberry.Schema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        charge: Callable[[int], None],
    ) -> None:
        root = schema._schema.get_root_type(operation.operation)  # noqa: SLF001  # it has no other way to its types
        if root is None:
            raise Bail
        self._schema = schema
        self._root = root
        self._charge = charge
        self._document = document
        self._operation = operation
        self._fragments = {
            each.name.value: FragmentDetails(each)
            for each in document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }

    def conditions(self) -> tuple[str, ...]:
        """The variables that decide what is skipped. Raises `Bail`."""
        return _conditions(self._document, self._operation)

    def plan(self, roots: Collection[str], without: Container[str], conditions: Mapping[str, bool]) -> Plan:
        """The plan for what those variables are, of values for `roots`. Raises `Bail`."""
        selected, below = self._collected(conditions)
        code = Code(below)
        asked: list[Asked] = []
        parts = []
        for key, details in selected:
            name = details[0].node.name.value
            if name == "__typename":
                parts.append(f"{key!r}: {self._root.name!r}")
            elif name in roots and not _says(details[0].node, without):
                value = Expression(f"values[{len(asked)}]")
                parts.append(f"{key!r}: {code.completed(self._root.fields[name].type, details, value).text}")
                asked.append(Asked(name, self._root.fields[name], details[0].node))
            else:
                raise Bail
        self._charge(code.fields)
        return Plan(
            fields=tuple(dict.fromkeys(each.name for each in asked)),
            reads=frozenset(code.reads),
            calls=calls_of(self._schema, self._operation, asked),
            answer=code.function(parts, of="values"),
        )

    def resolving_plan(self, conditions: Mapping[str, bool]) -> ResolvingPlan:
        """The plan for what those variables are, which calls resolvers. Raises `Bail`."""
        selected, below = self._collected(conditions)
        kind, names = self._operation.operation, [details[0].node.name.value for _, details in selected]
        if kind is OperationType.MUTATION and (len(names) != 1 or names == ["__typename"]):
            raise Bail
        code = ResolvingCode(below, self._schema._schema.get_possible_types)  # noqa: SLF001  # as above
        answer = code.root(self._root, selected)
        self._charge(code.fields)
        calls = calls_of(self._schema, self._operation, code.asked)

        async def run(variables: Variables, info: Any) -> dict[str, Any]:
            found = answer(None, info, calls(variables))
            data: dict[str, Any] = found if isinstance(found, dict) else await found
            return data

        return ResolvingPlan(kind=kind.value, fields=tuple(dict.fromkeys(names)), run=run)

    def _collected(
        self, conditions: Mapping[str, bool]
    ) -> tuple[
        list[tuple[str, list[FieldDetails]]], Callable[[GraphQLObjectType, list[FieldDetails]], CollectedFields]
    ]:
        """The fields of the root that are asked for, and what finds those below them."""
        schema, known = self._schema._schema, VariableValues({}, dict(conditions))  # noqa: SLF001  # as above
        root = collect_fields(schema, self._fragments, known, self._root, self._operation)
        return list(groups(root)), partial(collect_subfields, schema, self._fragments, known, self._operation)
