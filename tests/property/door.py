"""The real door, up to a database that lets nobody in: what a post is answered with."""

import asyncio
import json
from functools import partial
from typing import Any, Final

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from starlette.types import Message, Scope

from api import wiring
from api.door import GraphQLDoor
from api.event_stream import EventStream
from api.pubsub import PubSub
from api.schema import build_schema
from api.schema.executor import Executor
from api.schema.lane import Lane
from api.schema.limits import QueryLimits
from api.settings import Settings
from api.turnstile import Turnstile
from models.services.credentials import TokenBook
from models.services.resolver import Resolver
from models.store.engine import Database
from models.store.strict import strict_reads
from models.store.unit import Store
from tests.client import Json
from tests.property.documents import Post

SETTINGS: Final = Settings(dev=True, max_body_bytes=10**7, max_large_body_bytes=10**7)


async def _never() -> Any:
    raise TimeoutError


def without_a_database() -> Store:
    """A store whose database lets nobody in."""
    url = make_url("sqlite+aiosqlite:///nowhere.db")
    engine = create_async_engine(url, async_creator=_never, poolclass=NullPool)
    return Store(database=Database(url=url, reader=engine, lookups=engine, writer=engine))


STORE: Final = without_a_database()
PUBSUB: Final = PubSub(STORE, poll_seconds=60)


def door(limits: QueryLimits) -> GraphQLDoor:
    schema = build_schema(limits=limits)
    texts = wiring.texts(SETTINGS, schema)
    resolver = Resolver(STORE, size=1, seconds=1)
    lane = Lane(schema, resolver, strict_reads(STORE.database), limits, (), kept=1)
    doorkeeper = wiring.doorkeeper(SETTINGS, STORE, TokenBook(STORE, strict_reads(STORE.database), size=1))
    streams = wiring.streams(SETTINGS, schema, texts, STORE, PUBSUB, doorkeeper)
    streamed = partial(EventStream, streams)
    executor = Executor(schema, limits, ())
    return GraphQLDoor(executor, texts, STORE, lane, doorkeeper, Turnstile(1), streamed, wiring.bounds(SETTINGS))


def answers(post: Post, limits: QueryLimits, accept: str = "application/json") -> list[Json]:
    """What comes of a post: one answer, or as many as a stream has."""
    headers = [(b"content-type", b"application/json"), (b"accept", accept.encode())]
    scope: Scope = {"type": "http", "headers": headers, "state": {"request_id": "r", "heads": dict(headers)}}
    coming, sent = [post.body], bytearray()

    async def receive() -> Message:
        if not coming:
            await asyncio.sleep(60)  # a client that stays
        return {"type": "http.request", "body": coming.pop()}

    async def send(message: Message) -> None:
        sent.extend(message.get("body", b""))

    asyncio.run(door(limits)(scope, receive, send))
    lines = [line.removeprefix("data: ") for line in sent.decode().split("\n")]
    return [json.loads(line) for line in lines if line.startswith("{")]
