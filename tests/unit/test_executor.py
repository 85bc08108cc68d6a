"""What observers hear of operations, whichever way they were run."""

import asyncio
from contextlib import suppress
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from strawberry.schema.exceptions import CannotGetOperationTypeError

from api import wiring
from api.schema import build_schema
from api.schema.context import Context
from api.schema.executor import Executor
from api.schema.operation import Operation
from api.settings import Settings
from api.wire import Asked
from models.services.access import named_asker
from models.store.engine import Database
from models.store.unit import Store


async def _never() -> Any:
    await asyncio.Event().wait()


def without_an_answer() -> Store:
    """A store whose database says nothing."""
    url = make_url("sqlite+aiosqlite:///nowhere.db")
    engine = create_async_engine(url, async_creator=_never, poolclass=NullPool)
    return Store(database=Database(url=url, reader=engine, lookups=engine, writer=engine))


def told(query: str, times: int) -> list[Operation]:
    """What is told of a query, sent several times and waited for but a moment."""
    heard: list[Operation] = []

    async def send(executor: Executor) -> None:
        asker = named_asker("someone", request_id="r")
        context = Context(store=without_an_answer(), asker=asker)
        try:
            async with asyncio.timeout(0.05):
                await executor.execute(Asked(query=query, variables=None, operation_name=None, weight=0), context)
        except TimeoutError:
            pass

    async def run() -> None:
        limits = wiring.query_limits(Settings(dev=True))
        executor = Executor(build_schema([heard.append], limits), limits, [heard.append])
        for _ in range(times):
            await send(executor)

    asyncio.run(run())
    return heard


def test_operations__that_a_document_does_not_hold__are_not_remembered() -> None:
    schema, limits = build_schema(), wiring.query_limits(Settings(dev=True))
    query = "query Held { viewer { name } }"
    executor = Executor(schema, limits, [])

    async def run() -> None:
        for name in ("Held", "Held", *(f"No{number}" for number in range(3))):
            context = Context(store=without_an_answer(), asker=named_asker("someone", request_id="r"))
            with suppress(CannotGetOperationTypeError):
                await executor.execute(Asked(query=query, variables=None, operation_name=name, weight=0), context)

    asyncio.run(run())
    known = schema.documents.find(query)
    assert known is not None
    assert set(known.resolving) == {"Held"}


def test_mutation__that_takes_too_long__is_told_of_once_each_time() -> None:
    first, second = told('mutation { registerModels(models: [{modelId: "a/b"}]) { userErrors { code } } }', 2)
    assert seen(first) == seen(second) == ("mutation", ("registerModels",), ("DEADLINE",))
    assert (first.compiled, second.compiled) == (False, True)
    assert first.changes == second.changes


def seen(operation: Operation) -> tuple[object, ...]:
    return operation.kind, operation.fields, operation.codes


def test_query__that_is_compiled__is_told_of_like_one_that_is_executed() -> None:
    first, *others = told("{ viewer { scopes mayActFor } }", 3)
    assert seen(first) == ("query", ("viewer",), ())
    assert [(seen(each), each.compiled) for each in (first, *others)] == [
        (seen(first), compiled) for compiled in (False, True, True)
    ]


def test_query__that_takes_too_long__is_told_of_once_each_time() -> None:
    first, second = told("{ models { modelId } }", 2)
    assert seen(first) == seen(second) == ("query", ("models",), ("DEADLINE",))
    assert (first.compiled, second.compiled) == (False, True)


def test_query__that_ends_in_an_error__is_told_of_once_each_time() -> None:
    first, second = told("{ towns(first: 0) { pageInfo { endCursor } } }", 2)
    assert seen(first) == seen(second) == ("query", ("towns",), ("INVALID_INPUT",))
    assert (first.compiled, second.compiled) == (False, False)
