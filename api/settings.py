"""Settings, from the environment. Each stands in the README with its default."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.domain.tokens import Scope


class Settings(BaseSettings):
    """All begin with ``TOWNCLERK_`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="TOWNCLERK_", frozen=True, allow_inf_nan=False)

    database_url: str = Field(
        default="sqlite:///townclerk.db", description="`sqlite:///FILE` or `postgresql://user@host/db`."
    )
    database_pool_size: int = Field(
        default=5, ge=1, le=100, description="Connections a process keeps for reads; on PostgreSQL as many for writes."
    )
    database_pool_overflow: int = Field(
        default=0, ge=0, le=100, description="Connections beyond that in a burst; on PostgreSQL as many for writes."
    )
    database_pool_wait_seconds: float = Field(
        default=10.0, gt=0, description="How long a request waits for a connection that is free."
    )
    database_connect_timeout_seconds: float = Field(
        default=5.0, ge=0, description="PostgreSQL: how long making a connection may take; 0 is for ever."
    )
    database_statement_timeout_seconds: float = Field(
        default=30.0, ge=0, le=1_000_000, description="PostgreSQL: how long a statement may take; 0 is for ever."
    )
    database_lock_timeout_seconds: float = Field(
        default=10.0, ge=0, le=1_000_000, description="PostgreSQL: how long it may wait for a lock; 0 is for ever."
    )
    database_idle_timeout_seconds: float = Field(
        default=60.0,
        ge=0,
        le=1_000_000,
        description="PostgreSQL: how long a transaction may stand idle before the server ends it; 0 is for ever.",
    )
    max_body_bytes: int = Field(default=100_000, ge=1_000, description="Longest request body, in bytes.")
    max_large_body_bytes: int = Field(
        default=2_000_000, ge=1_000, description="The same for imports and bead syncs, and for a WebSocket's messages."
    )
    body_seconds: float = Field(default=20.0, gt=0, description="How long a request's body may take to arrive.")
    request_seconds: float = Field(default=60.0, gt=0, description="How long the answer to a request may take.")
    max_requests: int = Field(default=200, ge=1, description="Requests that a process works on at once.")
    max_requests_per_second: float = Field(
        default=0.0, ge=0, description="Requests of one credential in each process, in the long run; 0 is no limit."
    )
    max_failed_sign_ins: int = Field(
        default=10, ge=1, description="Sign-ins of one address that may fail at once; then one every six seconds."
    )
    max_streams_per_credential: int = Field(
        default=100, ge=1, description="Those of them that one credential may have."
    )
    token_cache_size: int = Field(default=10_000, ge=1, description="API tokens that a process remembers.")
    cors_origins: tuple[str, ...] = Field(
        default=(), description="Origins whose pages may use the API, as a JSON array."
    )
    oidc_issuer: str | None = Field(default=None, description="OpenID Connect: the issuer whose tokens are taken.")
    oidc_audience: str | None = Field(default=None, description="Whom its tokens have to be for.")
    oidc_client_id: str | None = Field(default=None, description="As which client the settings pages sign users in.")
    oidc_scope: str = Field(default="openid", description="What the settings pages ask the issuer for.")
    oidc_jwks_url: str | None = Field(default=None, description="Where its keys are; by default it is asked.")
    oidc_algorithms: tuple[str, ...] = Field(default=("RS256", "ES256"), description="Signatures that are taken.")
    oidc_name_claim: str = Field(default="sub", description="The claim that says who it is.")
    oidc_scopes_claim: str = Field(default="townclerk_scopes", description="The claim that holds scopes.")
    oidc_towns_claim: str = Field(default="townclerk_towns", description="The claim that holds town ids; `*` is all.")
    oidc_scope_names: dict[str, Scope] = Field(
        default={}, description="What values of the scopes claim stand for, as a JSON object; empty: scopes by name."
    )
    max_query_tokens: int = Field(default=10_000, ge=100, description="Words and signs in a document.")
    max_query_operations: int = Field(default=5, ge=1, description="Operations in a document.")
    max_query_fragments: int = Field(default=30, ge=1, description="Fragments in a document.")
    max_query_depth: int = Field(default=12, ge=1, le=100, description="Fields below each other.")
    max_query_root_fields: int = Field(default=20, ge=1, description="Fields that an operation asks the root for.")
    max_query_fields: int = Field(default=800, ge=1, description="Fields, those of fragments wherever they are spread.")
    max_query_aliases: int = Field(default=30, ge=1, description="Aliases, counted likewise.")
    max_query_directives: int = Field(default=30, ge=1, description="Directives, counted likewise.")
    max_query_cost: int = Field(
        default=50_000,
        ge=1,
        description="Fields that may be answered: those below a page count once for each node of it.",
    )
    trusted_documents: Path | None = Field(
        default=None, description="A JSON file of documents by their SHA-256, which can be asked for by that."
    )
    trusted_documents_only: bool = Field(
        default=False, description="Whether no documents are taken but those, and the settings pages' own."
    )
    table_cache_size: int = Field(
        default=16_384, ge=1, description="Compiled tables a process keeps; and as many towns and sets."
    )
    resolution_cache_size: int = Field(
        default=20_000, ge=1, description="Resolutions a process keeps; and as many answers, mayors and rigs."
    )
    rollout_interval_seconds: float = Field(
        default=30.0, gt=0, description="How often a process looks for rollouts that another one left unfinished."
    )
    feed_poll_seconds: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="How often a process looks for what other processes wrote to followed towns.",
    )
    stream_send_seconds: float = Field(
        default=30.0, gt=0, le=30, description="How long a client of a stream may take to take an answer."
    )
    stream_keep_alive_seconds: float = Field(
        default=15.0, gt=0, description="How often a stream of server-sent events shows that it lives."
    )
    stream_init_seconds: float = Field(
        default=10.0, gt=0, description="How long a WebSocket may stay open without its first message."
    )
    max_streams: int = Field(
        default=1000, ge=1, le=10_000, description="WebSockets and event streams a process serves."
    )
    max_stream_operations: int = Field(default=20, ge=1, le=1000, description="Operations at once on one WebSocket.")
    shutdown_seconds: int = Field(
        default=10, ge=1, description="How long a server that is asked to end waits for what is under way."
    )
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="What is logged.")
    dev: bool = Field(default=False, description="Dev mode; `serve --dev` sets it.")

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("oidc_issuer and oidc_audience have to be set together")
        if self.database_statement_timeout_seconds >= self.request_seconds:
            raise ValueError("request_seconds has to be more than database_statement_timeout_seconds")
        if self.max_large_body_bytes < self.max_body_bytes:
            raise ValueError("max_large_body_bytes has to be at least max_body_bytes")
        return self
