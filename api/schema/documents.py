"""Documents, each parsed and validated once, as long as there is room for it."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from graphql import (
    ASTValidationRule,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLSchema,
    get_operation_ast,
    parse,
    validate,
)
from graphql.language import DocumentNode
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule

from api.compiler import CompiledOperation, Plan, ResolvingPlan
from api.manifests import digest_of

ROOM: Final = 256_000  # characters in all; parsed, each takes up to 200 bytes
_FIELD: Final = 2  # characters that a compiled field counts for

Rules = Sequence[type[ASTValidationRule]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A document, what is wrong with it, and its operations by name, compiled; None for those that can't be.

    `compiled` is what values at hand answer, `resolving` what has resolvers called.
    """

    document: DocumentNode
    errors: list[GraphQLError]
    compiled: dict[str | None, CompiledOperation[Plan] | None] = field(default_factory=dict)
    resolving: dict[str | None, CompiledOperation[ResolvingPlan] | None] = field(default_factory=dict)

    def holds(self, operation_name: str | None) -> bool:
        """Whether it has that operation. For what else clients may name nothing is kept: there is no end to it."""
        return operation_name is None or get_operation_ast(self.document, operation_name) is not None


class DocumentCache:
    """Documents that are within the limits, and what is wrong with them; those not used for longest go first."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._texts: dict[str, str] = {}  # by their digests
        self._weights: dict[str, int] = {}
        self._used = 0

    def find(self, text: str) -> Kept | None:
        """What is kept of a document."""
        found = self._kept.get(text)
        if found is not None:
            self._kept.move_to_end(text)
        return found

    def text_of(self, digest: str) -> str | None:
        """The text of a document that is kept, by its `digest_of`."""
        return self._texts.get(digest)

    def keep(self, text: str, document: DocumentNode, errors: list[GraphQLError]) -> None:
        """Keep a document, if there is any room for one of its length."""
        if len(text) > self._room or text in self._kept:
            return
        self._kept[text] = Kept(document, errors)
        self._texts[digest_of(text)] = text
        self._weigh(text, len(text))

    def charge(self, text: str, fields: int) -> None:
        """Take note that so many fields of a document were compiled, which take room as well."""
        if text in self._kept:
            self._weigh(text, _FIELD * fields)

    def _weigh(self, text: str, weight: int) -> None:
        self._weights[text] = self._weights.get(text, 0) + weight
        self._used += weight
        while self._used > self._room:
            gone, _ = self._kept.popitem(last=False)
            self._used -= self._weights.pop(gone)
            del self._texts[digest_of(gone)]


class Documents(SchemaExtension):
    """Parses and validates as Strawberry does, but for inputs that take exactly one of their fields.

    Strawberry's rule for those looks for a variable among those of the operation that it visited last. It breaks over
    one that is not declared, or that stands in a fragment before its operation. The library that Strawberry lies over
    has rules of its own, which do neither, for inputs that `judge_one_of` has marked.
    """

    def __init__(self, cache: DocumentCache) -> None:
        self._cache = cache

    def on_parse(self) -> Iterator[None]:
        """Take a document that is known, or parse it."""
        run = self.execution_context
        if run.query is not None:
            found = self._cache.find(run.query)
            run.graphql_document = parse(run.query, **run.parse_options) if found is None else found.document
        yield

    def on_validate(self) -> Iterator[None]:
        """Look what is wrong with it; those that are refused before have not got here, and are not kept."""
        run = self.execution_context
        if run.query is not None and run.graphql_document is not None:
            found = self._cache.find(run.query)
            if found is None:
                errors = validated(run.schema._schema, run.graphql_document, run.validation_rules)  # noqa: SLF001
                self._cache.keep(run.query, run.graphql_document, errors)
            else:
                errors = found.errors
            run.pre_execution_errors = errors
        yield


def keeping(cache: DocumentCache) -> Callable[[], Documents]:
    """What makes the extension of an operation."""
    return lambda: Documents(cache)


def validated(schema: GraphQLSchema, document: DocumentNode, rules: Rules) -> list[GraphQLError]:
    """What is wrong with a document."""
    return validate(schema, document, (*rules, MaybeNullValidationRule))


def judge_one_of(schema: GraphQLSchema) -> None:
    """Mark the inputs that take exactly one of their fields, which Strawberry alone knows of."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            kind.is_one_of = kind.extensions["strawberry-definition"].is_one_of
