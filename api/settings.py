"""Settings, from the environment. Each stands in the README with its default."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    max_body_bytes: int = Field(default=2_000_000, ge=1_000, description="Longest request body, in bytes.")
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
    table_cache_size: int = Field(default=4096, ge=1, description="Compiled tables a process keeps.")
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
