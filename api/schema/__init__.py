"""The GraphQL schema. `build_schema` is all that the rest of the program needs of it."""

from collections.abc import Callable, Sequence
from copy import copy
from functools import cache

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxTokensLimiter, SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from api.schema.bead import Bead, Rig
from api.schema.documents import DocumentCache, judge_one_of, keeping
from api.schema.history import AuditEntry, HistoryQuery
from api.schema.hooks import HooksRunner
from api.schema.inputs import read_plainly
from api.schema.limits import QueryLimits, limiting
from api.schema.live import Subscription
from api.schema.mayor import MayorMutation
from api.schema.operation import Observer
from api.schema.override_set import OverrideSet
from api.schema.policy_mutations import PolicyMutation
from api.schema.preview import PreviewQuery
from api.schema.problems import DocumentProblems
from api.schema.profile import CatalogueQuery, Profile, ProfileVersion
from api.schema.scalars import SCALARS
from api.schema.town import Town
from api.schema.town_mutations import TownMutation
from api.schema.town_queries import TownQuery
from api.schema.viewer import ViewerQuery
from api.schema.watching import watching


@strawberry.type
class Query(ViewerQuery, TownQuery, CatalogueQuery, PreviewQuery, HistoryQuery):
    pass


@strawberry.type
class Mutation(TownMutation, PolicyMutation, MayorMutation):
    pass


class TownclerkSchema(strawberry.Schema):
    """Leaves errors to `api.schema.problems.present`, which logs those that are not the caller's.

    `documents` are those that it has validated.
    """

    documents: DocumentCache

    def create_extensions_runner(
        self, execution_context: ExecutionContext, extensions: list[SchemaExtension]
    ) -> HooksRunner:
        return HooksRunner(execution_context, extensions)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        pass


def build_schema(observers: Sequence[Observer] = (), limits: QueryLimits | None = None) -> TownclerkSchema:
    """The schema of the contract, with the caches that keep repeated documents cheap. `observers` watch operations.

    Without `limits` documents may ask for anything, as the program's own do.
    """
    schema = copy(_contract())
    schema.documents = DocumentCache()
    schema.extensions = (
        watching(observers),
        DocumentProblems,
        *_limited(limits, schema.documents),
    )
    return schema


@cache
def _contract() -> TownclerkSchema:
    """The types, which take a while to make, once a process; and with them what the validation of documents knows."""
    schema = TownclerkSchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Town, Rig, Bead, Profile, ProfileVersion, OverrideSet, AuditEntry],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    judge_one_of(schema._schema)  # noqa: SLF001  # it has no other way to its types
    read_plainly(schema._schema)  # noqa: SLF001  # as above
    return schema


def _limited(limits: QueryLimits | None, documents: DocumentCache) -> list[Callable[[], SchemaExtension]]:
    """What parses and validates documents, each once, and refuses those that are over the limits."""
    read = keeping(documents)
    if limits is None:
        return [read]
    tokens = limits.tokens
    return [lambda: MaxTokensLimiter(max_token_count=tokens), read, limiting(limits)]
