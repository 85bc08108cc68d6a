"""Limits on what a document may ask, held against it before it is validated, whichever door it comes through."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError
from typing import Final

from graphql import GraphQLError, get_operation_ast
from graphql.language import DocumentNode, FragmentDefinitionNode, OperationDefinitionNode
from strawberry.extensions import SchemaExtension

from api.schema.counting import Counts, Sizes, count, sizes_of, values_of
from api.schema.problems import may_see_schema
from api.schema.watching import root_fields
from models.services.access import Asker

# Tools ask 15 levels deep, nine of them ofType. There is little below: the answer is no longer than the schema.
INTROSPECTION_DEPTH: Final = 20
_MOST_TOLD: Final = 1_000_000_000
_PHRASES: Final = {
    "depth": "a depth of {}",
    "introspection depth": "an introspection depth of {}",
    "cost": "a cost of {}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """How much a document may ask at most; see `api.schema.counting.Counts` for what is counted how."""

    tokens: int
    operations: int
    fragments: int
    depth: int
    root_fields: int
    fields: int
    aliases: int
    directives: int
    cost: int
    body_bytes: int


_LARGE: Final = frozenset({"importTown", "syncBeads"})  # what may weigh more than `body_bytes`


def refusal(
    document: DocumentNode,
    limits: QueryLimits,
    sizes: Sizes,
    operation_name: str | None,
    variables: Mapping[str, object],
    *,
    sees_schema: bool = True,
) -> GraphQLError | None:
    """Why a document can't be taken on: it is over a limit, or its fragments spread each other in a circle.

    All definitions are validated, so all are held to the limits; only what is run to that of the cost. It may ask about
    the schema itself where its asker `sees_schema`.
    """
    operations = sum(isinstance(each, OperationDefinitionNode) for each in document.definitions)
    fragments = sum(isinstance(each, FragmentDefinitionNode) for each in document.definitions)
    error = _over("operations", operations, limits.operations) or _over("fragments", fragments, limits.fragments)
    if error is not None:
        return error
    chosen = get_operation_ast(document, operation_name)
    try:
        counted = count(document, sizes, values_of(chosen, variables))
    except CycleError as cycle:
        return _circle(cycle.args[1])
    for definition, counts in counted:
        error = _too_large(counts, limits)
        if error is None and isinstance(definition, OperationDefinitionNode):
            error = _over("root fields", counts.root_fields, limits.root_fields)
        if error is None and definition is chosen:
            error = _over("cost", counts.cost, limits.cost)
        if error is None and counts.introspects and not sees_schema:
            error = _not_shown()
        if error is not None:
            return error
    return None


def _too_large(counts: Counts, limits: QueryLimits) -> GraphQLError | None:
    return (
        _over("depth", counts.depth, limits.depth)
        or _over("introspection depth", counts.whole_depth, max(limits.depth, INTROSPECTION_DEPTH))
        or _over("fields", counts.fields, limits.fields)
        or _over("aliases", counts.aliases, limits.aliases)
        or _over("directives", counts.directives, limits.directives)
    )


def _over(limit: str, found: int, allowed: int) -> GraphQLError | None:
    if found <= allowed:
        return None
    told = f"{found:,}" if found <= _MOST_TOLD else f"over {_MOST_TOLD:,}"
    has = _PHRASES.get(limit, "{} " + limit).format(told)
    return GraphQLError(
        f"The document has {has}; the limit is {allowed:,}.",
        extensions={"code": "QUERY_LIMIT", "limit": limit, "allowed": allowed},
    )


def _not_shown() -> GraphQLError:
    return GraphQLError(
        "Introspection takes a credential of scope admin; the SDL comes with the program: townclerk schema.",
        extensions={"code": "FORBIDDEN"},
    )


def _circle(names: list[str]) -> GraphQLError:
    circle = ", ".join(names[1:])
    return GraphQLError(
        f"Fragments may not spread themselves, nor each other in a circle: {circle}.",
        extensions={"code": "GRAPHQL_VALIDATION_FAILED"},
    )


class QueryLimiter(SchemaExtension):
    """Refuses a document that is over the limits once it is parsed."""

    def __init__(self, limits: QueryLimits) -> None:
        self._limits = limits

    def on_parse(self) -> Iterator[None]:
        """Look at what was parsed, if it could be."""
        yield
        run = self.execution_context
        if run.graphql_document is None:
            return
        sizes = sizes_of(run.schema._schema)  # noqa: SLF001  # it has no other way to its types
        asker: Asker = run.context.asker
        error = self._too_heavy(run.graphql_document, run.operation_name, run.context.weight) or refusal(
            run.graphql_document,
            self._limits,
            sizes,
            run.operation_name,
            run.variables or {},
            sees_schema=may_see_schema(asker),
        )
        if error is not None:
            raise error

    def _too_heavy(self, document: DocumentNode, operation_name: str | None, weight: int) -> GraphQLError | None:
        """Why a request of so many bytes is not taken on: only imports and syncs may be that long."""
        if weight <= self._limits.body_bytes:
            return None
        chosen = get_operation_ast(document, operation_name)
        if chosen is not None and _LARGE.issuperset(root_fields(document, chosen.selection_set)):
            return None
        most = self._limits.body_bytes
        message = f"The request may have at most {most} bytes; only importTown and syncBeads, by themselves, have more."
        return GraphQLError(message, extensions={"code": "BODY_LIMIT"})


def limiting(limits: QueryLimits) -> Callable[[], QueryLimiter]:
    """What makes the extension of an operation."""
    return lambda: QueryLimiter(limits)
