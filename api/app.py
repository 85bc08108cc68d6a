"""The application: routes, lifespan, and what runs beside the requests."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api import storage, wiring
from api.audit_export import audit_export
from api.auth import Doorkeeper, ThisMachineOnly, forbidden
from api.door import GraphQLDoor
from api.event_stream import EventStream
from api.hatch import HATCH, Hatch
from api.json_text import encode
from api.metrics import GRAPHQL, Metrics
from api.observability import configure_logging
from api.pages import page_routes
from api.pubsub import PubSub
from api.requests import Requests, log_operation
from api.schema import build_schema
from api.schema.executor import Executor
from api.settings import Settings
from api.shutdown import when_asked_to_end
from api.tracing import start_tracing
from api.turnstile import Turnstile
from api.websocket import GraphQLSocket
from api.wire import BadRequestError
from models.domain.permissions import MEASURE, ForbiddenError, Need, require
from models.services.rollout import roll_out_all
from models.store.migrations import is_current
from models.store.strict import strict_reads
from models.store.unit import Clock, NewId, StorageUnavailableError, Store, random_id, system_clock

_END_SECONDS: Final = 10.0  # how long what runs beside the requests may take to end
_READY_SECONDS: Final = 2.0  # how long the database may take to say that it is there
_LOG: Final = structlog.get_logger("townclerk.app")


def create_app(settings: Settings | None = None, *, clock: Clock = system_clock, new_id: NewId = random_id) -> ASGIApp:
    """The ASGI application. The database has to be migrated; nothing is connected before the lifespan begins."""
    settings = settings or Settings()
    store = storage.open_store(settings, clock, new_id)
    metrics, traces = Metrics(store), start_tracing()
    observers = [metrics.operation, log_operation, *([] if traces is None else [traces.operation])]
    schema = build_schema(observers, wiring.query_limits(settings))
    pubsub = PubSub(store, poll_seconds=settings.feed_poll_seconds)
    book = wiring.open_token_book(settings, store)
    doorkeeper, turnstile = wiring.doorkeeper(settings, store, book), Turnstile(settings.max_requests)
    texts = wiring.texts(settings, schema)
    streams = wiring.streams(settings, schema, texts, store, pubsub, doorkeeper)
    streamed = partial(EventStream, streams)
    strict = strict_reads(store.database)
    lane = wiring.lane(settings, schema, store, strict, observers)
    executor = Executor(schema, wiring.query_limits(settings), observers)
    door = GraphQLDoor(executor, texts, store, lane, doorkeeper, turnstile, streamed, wiring.bounds(settings))

    hatch = None
    if not settings.dev and traces is None:  # for whom more would have to be looked at, or told
        bytes_at_most = settings.max_body_bytes
        hatch = Hatch(GRAPHQL, bytes_at_most, doorkeeper, turnstile, texts, lane, strict, metrics)

    def go_away() -> None:
        store.ending.set()
        pubsub.go_away()

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, object]]:
        stop = asyncio.Event()
        rollouts = asyncio.create_task(_finish_rollouts(store, settings.rollout_interval_seconds, stop))
        feeds = asyncio.create_task(pubsub.run(stop))
        tokens = asyncio.create_task(book.run(stop))
        try:
            with when_asked_to_end(go_away):
                yield {} if hatch is None else {HATCH: hatch}
        finally:
            go_away()
            stop.set()  # not cancelled: a connection that is being made just now would be left behind
            beside = asyncio.gather(rollouts, feeds, tokens, metrics.close(), return_exceptions=True)
            with contextlib.suppress(TimeoutError):  # a database that says nothing must not keep the process
                await asyncio.wait_for(beside, _END_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(store.dispose(), strict.close(), book.close()), _END_SECONDS)
            if traces is not None:
                await asyncio.to_thread(traces.close)

    graphql = Route(GRAPHQL, door, methods=["POST"])
    app = Starlette(
        routes=[
            graphql,
            WebSocketRoute(GRAPHQL, GraphQLSocket(streams, origins=settings.cors_origins).handle),
            Route("/audit/export", audit_export(store, streams)),
            Route("/healthz", _healthz),
            Route("/readyz", _readyz(store)),
            *page_routes(wiring.signing_in(settings), is_open=settings.dev),
            Route("/metrics", _for_those_who(MEASURE, doorkeeper, metrics.show)),
        ],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # to wherever the header Host says
    served = _straight_to(graphql, door, app)
    for gate in reversed(_at_the_gate(settings)):
        served = gate.cls(served, *gate.args, **gate.kwargs)
    return Requests(served if traces is None else traces.http(served), metrics, _internal_error)


def _straight_to(route: Route, endpoint: ASGIApp, app: ASGIApp) -> ASGIApp:
    """`app`, but what a route answers without a look at any other, which takes longer than most of its answers."""
    path, methods = route.path, route.methods or set()

    def answer(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and scope["path"] == path and scope["method"] in methods:
            scope["route"] = route
            return endpoint(scope, receive, send)
        return app(scope, receive, send)

    return answer


def served_app() -> ASGIApp:
    """The application as a server's process makes it for itself, with its logs set up."""
    settings = Settings()
    configure_logging(settings.log_level)
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    return create_app(settings)


def _end_after(parent: BaseProcess) -> None:
    """End this process when the one that started it has ended, however it went: nobody else would."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


async def _finish_rollouts(store: Store, interval: float, stop: asyncio.Event) -> None:
    """Look for rollouts left unfinished, at once and then every `interval` seconds, until `stop` is set."""
    while not stop.is_set():
        try:
            await roll_out_all(store, stopping=stop.is_set)
        except StorageUnavailableError:
            _LOG.warning("rollouts wait for the database")
        except Exception:  # noqa: BLE001  # nothing may end the watch; the log tells
            _LOG.exception("rollout failed; trying again")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), interval)


def _at_the_gate(settings: Settings) -> list[Middleware]:
    """What looks at a request before any endpoint does."""
    gate = [Middleware(ThisMachineOnly)] if settings.dev else []
    if settings.cors_origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id", "X-On-Behalf-Of"],
            expose_headers=["X-Request-Id", "Retry-After"],
        )
        gate.append(cors)
    return gate


def _for_those_who(
    need: Need, doorkeeper: Doorkeeper, endpoint: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that takes a credential, as a whole."""

    async def guarded(request: Request) -> Response:
        try:
            require((await doorkeeper.admit(request.scope)).grant, need)
        except BadRequestError as error:
            return error.response()
        except ForbiddenError as error:
            return forbidden(error).response()
        return await endpoint(request)

    return guarded


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "alive"})


def _readyz(store: Store) -> Callable[[Request], Awaitable[Response]]:
    asking: asyncio.Task[bool] | None = None

    async def readyz(_request: Request) -> Response:
        nonlocal asking
        if asking is None or asking.done():  # strangers ask too, and take no more than one connection
            asking = asyncio.create_task(is_current(store.database))
        try:
            async with asyncio.timeout(_READY_SECONDS):
                ready, why = await asyncio.shield(asking), "not migrated: run townclerk migrate"
        except (SQLAlchemyError, OSError):
            ready, why = False, "database unreachable"
        if ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": why}, status_code=503)

    return readyz


_CODES: Final = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}


async def _http_error(_request: Request, error: Exception) -> Response:
    """A refusal by the routes, in the shape of a GraphQL error."""
    status, headers = 500, None
    if isinstance(error, HTTPException):
        status, headers = error.status_code, error.headers
    code = _CODES.get(status, "INVALID_INPUT")
    answer = {"errors": [{"message": str(getattr(error, "detail", "")), "extensions": {"code": code}}]}
    return Response(encode(answer), status_code=status, headers=headers, media_type="application/json")


def _internal_error(request_id: str) -> Response:
    message = f"Something went wrong on the server; report the request id {request_id}."
    answer = {"errors": [{"message": message, "extensions": {"code": "INTERNAL_ERROR", "requestId": request_id}}]}
    return Response(encode(answer), status_code=500, media_type="application/json")
