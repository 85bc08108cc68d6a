"""The real door, up to a database that lets nobody in: what a post is answered with."""

import asyncio
import json
from functools import partial
from typing import Any, Final

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from starlette.requests import Request
from starlette.types import Message, Scope

from api.door import GraphQLDoor
from api.event_stream import EventStream
from api.pubsub import PubSub
from api.schema import build_schema
from api.schema.limits import QueryLimits
from api.streams import Streams
from models.store.engine import Database
from models.store.unit import Store
from tests.client import Json
from tests.property.documents import Post

LONGEST_BODY: Final = 10**7


async def _never() -> Any:
    raise TimeoutError


def without_a_database() -> Store:
    """A store whose database lets nobody in."""
    url = make_url("sqlite+aiosqlite:///nowhere.db")
    engine = create_async_engine(url, async_creator=_never, poolclass=NullPool)
    return Store(database=Database(url=url, reader=engine, writer=engine))


STORE: Final = without_a_database()
PUBSUB: Final = PubSub(STORE, poll_seconds=60)


def door(limits: QueryLimits) -> GraphQLDoor:
    schema = build_schema(limits=limits)
    streams = Streams(
        schema=schema,
        store=STORE,
        pubsub=PUBSUB,
        dev=True,
        send_seconds=60,
        keep_alive_seconds=60,
        init_seconds=60,
        max_streams=1,
        max_operations=1,
        max_message_bytes=LONGEST_BODY,
    )
    return GraphQLDoor(schema, STORE, partial(EventStream, streams), max_body_bytes=LONGEST_BODY, dev=True)


def answers(post: Post, limits: QueryLimits, accept: str = "application/json") -> list[Json]:
    """What comes of a post: one answer, or as many as a stream has."""
    headers = [(b"content-type", b"application/json"), (b"accept", accept.encode())]
    scope: Scope = {"type": "http", "headers": headers, "state": {"request_id": "r"}}
    coming, sent = [post.body], bytearray()

    async def receive() -> Message:
        if not coming:
            await asyncio.sleep(60)  # a client that stays
        return {"type": "http.request", "body": coming.pop()}

    async def send(message: Message) -> None:
        sent.extend(message.get("body", b""))

    async def handle() -> None:
        response = await door(limits).handle(Request(scope, receive))
        await response(scope, receive, send)

    asyncio.run(handle())
    lines = [line.removeprefix("data: ") for line in sent.decode().split("\n")]
    return [json.loads(line) for line in lines if line.startswith("{")]
