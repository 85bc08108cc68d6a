"""Operations of documents that are kept, compiled where that can be done."""

from functools import partial
from typing import Any, Final, Protocol, TypeVar

from graphql import get_operation_ast
from graphql.language import DocumentNode

from api.compiler import Bail, CompiledOperation, Plan, ResolvingPlan
from api.schema import TownclerkSchema
from api.schema.counting import sizes_of
from api.schema.documents import Kept
from api.schema.limits import QueryLimits, refusal
from models.domain.vocabulary import MAX_BEADS

P = TypeVar("P", Plan, ResolvingPlan)

_LARGEST: Final = [None] * MAX_BEADS  # a value of a variable that costs as much as any


class Compile(Protocol[P]):
    """A way to compile an operation. Raises `Bail`."""

    def __call__(
        self, schema: TownclerkSchema, document: DocumentNode, operation_name: str | None, /, *, charge: Any
    ) -> CompiledOperation[P]: ...


def compiled_within(
    limits: QueryLimits, schema: TownclerkSchema, known: Kept, text: str, operation_name: str | None, way: Compile[P]
) -> CompiledOperation[P] | None:
    """An operation of a document, compiled that way; None where it can't be, or where variables may take it too far."""
    chosen = None if known.errors else get_operation_ast(known.document, operation_name)
    if chosen is None:
        return None
    largest = {each.variable.name.value: _LARGEST for each in chosen.variable_definitions or ()}
    sizes = sizes_of(schema._schema)  # noqa: SLF001  # it has no other way to its types
    # What its variables make of it can't be over the limits then; and it does not ask about the schema.
    if refusal(known.document, limits, sizes, operation_name, largest, sees_schema=False) is not None:
        return None
    try:
        return way(schema, known.document, operation_name, charge=partial(schema.documents.charge, text))
    except Bail:
        return None
