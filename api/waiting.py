"""Deadlines, for which a timer is set only where there is something to wait for: most of the time all is there."""

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives. Raises `TimeoutError` where it has to wait for longer than `seconds`."""
    try:
        waits_for = work.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    async with asyncio.timeout(seconds):
        return await _going_on(work, waits_for)


@coroutine
def _going_on(work: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Go on with what has begun to wait, as `await` would from its beginning."""
    while True:
        try:
            given = yield waits_for
        except BaseException as error:  # noqa: BLE001  # whatever is thrown in here is thrown in there
            step = partial(work.throw, error)
        else:
            step = partial(work.send, given)
        try:
            waits_for = step()
        except StopIteration as done:
            found: T = done.value
            return found
