"""Validation of documents, each once, by rules that no document can break."""

from functools import lru_cache
from typing import Final

from graphql import ASTValidationRule, GraphQLError, GraphQLInputObjectType, GraphQLSchema, validate
from graphql.language import DocumentNode
from strawberry.extensions import ValidationCache
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule

_MAX_CACHED_DOCUMENTS: Final = 512

Rules = tuple[type[ASTValidationRule], ...]


class Validation(ValidationCache):
    """Validates as Strawberry does, but for inputs that take exactly one of their fields.

    Strawberry's rule for those looks for a variable among those of the operation that it visited last. It breaks over
    one that is not declared, or that stands in a fragment before its operation. The library that Strawberry lies over
    has rules of its own, which do neither, for inputs that `judge_one_of` has marked.
    """

    def __init__(self) -> None:
        super().__init__(maxsize=_MAX_CACHED_DOCUMENTS)
        self.cached_validate_document = validated


@lru_cache(maxsize=_MAX_CACHED_DOCUMENTS)
def validated(schema: GraphQLSchema, document: DocumentNode, rules: Rules) -> list[GraphQLError]:
    """What is wrong with a document."""
    return validate(schema, document, (*rules, MaybeNullValidationRule))


def judge_one_of(schema: GraphQLSchema) -> None:
    """Mark the inputs that take exactly one of their fields, which Strawberry alone knows of."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            kind.is_one_of = kind.extensions["strawberry-definition"].is_one_of
