"""`townclerk serve`."""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from functools import partial

import click
import uvicorn
from sqlalchemy import make_url
from uvicorn.config import STARTUP_FAILURE

from api.addresses import names_loopback
from api.cli.base import migrated, with_store
from api.cli.group import CouldNotError, cli
from api.demo import seed_demo
from api.manifests import trusted_texts
from api.observability import configure_logging
from api.oidc import oidc_options
from api.settings import Settings
from api.streams import FAREWELL_SECONDS
from api.workers import Workers
from models.services.seed import seed
from models.store.migrations import is_current, upgrade
from models.store.queries import tokens
from models.store.unit import Store

_WORKER_SECONDS = 60  # what a worker may take to come up on a busy machine, before it is taken for hung and replaced


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--dev",
    is_flag=True,
    help="Open to anyone on this machine; seeds the demo town in an empty database.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
def serve(host: str, port: int, dev: bool, workers: int) -> None:  # noqa: FBT001  # click passes flags so
    """Serve the API. A SQLite database is migrated; on PostgreSQL run `townclerk migrate` first.

    Whoever asks needs a token (`townclerk token create`) or one of the OpenID Connect issuer that the settings name.
    """
    if dev and not names_loopback(host):
        raise CouldNotError(f"--dev serves loopback addresses only, and {host} is none")
    os.environ["TOWNCLERK_DEV"] = str(dev).lower()
    settings = _fit_to_serve(Settings())
    configure_logging(settings.log_level)
    with_store(settings, lambda store: _prepare(store, settings))
    database = make_url(settings.database_url).render_as_string(hide_password=True)
    mode = f"dev mode, {database}" if dev else database
    click.echo(f"Townclerk serves on http://{host}:{port}, its API on /graphql ({mode})")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it anew once all requests are answered
    config = uvicorn.Config(
        "api.serving:served_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        log_config=None,
        access_log=False,
        http="api.hatched:HatchedHttp",
        ws="api.patience:PatientSocket",
        ws_max_size=settings.max_large_body_bytes,
        ws_ping_interval=settings.stream_keep_alive_seconds,
        # a client that does not read answers no ping either, and is to hear from where it can resume
        ws_ping_timeout=2 * (settings.stream_send_seconds + FAREWELL_SECONDS),
        timeout_graceful_shutdown=settings.shutdown_seconds,
        timeout_worker_healthcheck=_WORKER_SECONDS,
    )
    if workers > 1:
        with _shared_metrics():
            with _listening(config):
                bound = config.bind_socket()
            Workers(config, [bound]).run()
        return
    server = uvicorn.Server(config)
    with _listening(config):
        server.run()
    if not server.started:
        raise CouldNotError("the server did not start; its log says why")


def _fit_to_serve(settings: Settings) -> Settings:
    """Settings of which an issuer and trusted documents, if there are any, can be made. Raises `CouldNotError`."""
    try:
        oidc_options(settings)
    except ValueError as error:
        raise CouldNotError(f"the OpenID Connect settings can't be used: {error}") from error
    try:
        trusted_texts(settings.trusted_documents)
    except ValueError as error:
        raise CouldNotError(f"the trusted documents can't be used: {error}") from error
    return settings


@contextlib.contextmanager
def _listening(config: uvicorn.Config) -> Iterator[None]:
    """Say so where the address can't be had, at which uvicorn ends the program by itself."""
    try:
        yield
    except SystemExit as ended:
        if ended.code == STARTUP_FAILURE:
            raise CouldNotError(f"{config.host}:{config.port} can't be listened on; the log says why") from ended
        raise


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """A folder, until the end, where workers leave their numbers, so that each can answer for all."""
    with tempfile.TemporaryDirectory(prefix="townclerk-metrics-") as folder:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        yield


async def _prepare(store: Store, settings: Settings) -> None:
    """Make a database ready to serve: a SQLite one is migrated, a PostgreSQL one has to be. Somebody has to get in."""
    if store.database.is_sqlite:
        if not await is_current(store.database):
            await upgrade(store.database)
        await seed(store)
    await migrated(store, _seed_demo_if_empty if settings.dev else partial(_refuse_if_nobody_gets_in, settings))


async def _seed_demo_if_empty(store: Store) -> None:
    await seed_demo(store, only_if_empty=True)


async def _refuse_if_nobody_gets_in(settings: Settings, store: Store) -> None:
    if oidc_options(settings) is None and not await store.fetch(partial(tokens.any_valid, now=store.clock())):
        raise CouldNotError(
            "nobody could get in: make a token with townclerk token create, or set TOWNCLERK_OIDC_ISSUER and "
            "TOWNCLERK_OIDC_AUDIENCE; --dev lets anyone on this machine in"
        )
