"""Settings, from the environment. Each stands in the README with its default."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All begin with ``TOWNCLERK_`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="TOWNCLERK_", frozen=True)

    database_url: str = Field(
        default="sqlite:///townclerk.db", description="`sqlite:///FILE` or `postgresql://user@host/db`."
    )
    database_pool_size: int = Field(
        default=5, ge=1, le=100, description="Connections a process keeps for reads; on PostgreSQL as many for writes."
    )
    max_body_bytes: int = Field(default=2_000_000, ge=1_000, description="Longest request body, in bytes.")
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
