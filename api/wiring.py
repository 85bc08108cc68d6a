"""The program's parts, made as the settings have them."""

from collections.abc import Sequence
from typing import Final

from api import storage
from api.auth import Doorkeeper
from api.buckets import Buckets
from api.door import Bounds
from api.manifests import trusted_texts
from api.oidc import Oidc, oidc_options
from api.pages import SigningIn
from api.pubsub import PubSub
from api.schema import TownclerkSchema
from api.schema.lane import Lane
from api.schema.limits import QueryLimits
from api.schema.operation import Observer
from api.settings import Settings
from api.streams import Streams
from api.trusted import Texts
from models.services.credentials import TokenBook
from models.services.resolver import Resolver
from models.store.strict import StrictReads, strict_reads
from models.store.unit import Store

_ADDRESSES: Final = 10_000  # of failed sign-ins, and credentials with a rate, that a process knows
_SIGN_INS_PER_SECOND: Final = 1 / 6
_BURST_SECONDS: Final = 2.0


def open_token_book(settings: Settings, store: Store) -> TokenBook:
    """The book of tokens, with connections of its own: nothing that is asked of the database keeps it waiting."""
    own = {"database_pool_size": 2, "database_pool_overflow": 0}
    mine = storage.open_store(settings.model_copy(update=own), store.clock, store.new_id)
    return TokenBook(mine, strict_reads(mine.database), size=settings.token_cache_size)


def query_limits(settings: Settings) -> QueryLimits:
    """How much a document may ask, by the settings."""
    return QueryLimits(
        tokens=settings.max_query_tokens,
        operations=settings.max_query_operations,
        fragments=settings.max_query_fragments,
        depth=settings.max_query_depth,
        root_fields=settings.max_query_root_fields,
        fields=settings.max_query_fields,
        aliases=settings.max_query_aliases,
        directives=settings.max_query_directives,
        cost=settings.max_query_cost,
        body_bytes=settings.max_body_bytes,
    )


def texts(settings: Settings, schema: TownclerkSchema) -> Texts:
    """What documents requests mean. Raises `ValueError` for a file of trusted ones that can't be read."""
    return Texts(schema.documents, trusted_texts(settings.trusted_documents), only=settings.trusted_documents_only)


def lane(
    settings: Settings, schema: TownclerkSchema, store: Store, strict: StrictReads, observers: Sequence[Observer]
) -> Lane:
    """The short way to the answers of operations that are known."""
    kept = settings.resolution_cache_size
    resolver = Resolver(store, size=kept, seconds=settings.request_seconds)
    return Lane(schema, resolver, strict, query_limits(settings), observers, kept=kept)


def bounds(settings: Settings) -> Bounds:
    """What a request may take."""
    return Bounds(
        body_bytes=settings.max_body_bytes,
        large_body_bytes=settings.max_large_body_bytes,
        body_seconds=settings.body_seconds,
        answer_seconds=settings.request_seconds,
    )


def doorkeeper(settings: Settings, store: Store, book: TokenBook) -> Doorkeeper:
    """Who tells those at the door apart. Raises `ValueError` for algorithms that can't be taken."""
    per_second = settings.max_requests_per_second
    rate = None
    if per_second > 0:
        rate = Buckets(most=max(1.0, _BURST_SECONDS * per_second), per_second=per_second, size=_ADDRESSES)
    options = oidc_options(settings)
    return Doorkeeper(
        book,
        None if options is None else Oidc(options, clock=store.clock),
        clock=store.clock,
        dev=settings.dev,
        failures=Buckets(most=settings.max_failed_sign_ins, per_second=_SIGN_INS_PER_SECOND, size=_ADDRESSES),
        rate=rate,
    )


def signing_in(settings: Settings) -> SigningIn | None:
    """Where users of the settings pages sign in; None where they paste tokens."""
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    return SigningIn(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        scope=settings.oidc_scope,
        # of the two that the issuer gives out, an ID token is for the client
        token="id_token" if settings.oidc_audience == settings.oidc_client_id else "access_token",
    )


def streams(
    settings: Settings, schema: TownclerkSchema, documents: Texts, store: Store, pubsub: PubSub, at_the_door: Doorkeeper
) -> Streams:
    """What WebSockets and streams of events are run with."""
    return Streams(
        schema=schema,
        texts=documents,
        store=store,
        pubsub=pubsub,
        doorkeeper=at_the_door,
        send_seconds=settings.stream_send_seconds,
        keep_alive_seconds=settings.stream_keep_alive_seconds,
        init_seconds=settings.stream_init_seconds,
        max_streams=settings.max_streams,
        max_per_credential=settings.max_streams_per_credential,
        max_operations=settings.max_stream_operations,
        max_message_bytes=settings.max_large_body_bytes,
    )
