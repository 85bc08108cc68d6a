"""Hearing that the process is asked to end while its connections are still open."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


@contextlib.contextmanager
def when_asked_to_end(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` in the event loop as soon as the server gets SIGTERM or SIGINT, beside what it does itself.

    A server ends the lifespan after its connections have closed, which streams never do by themselves. Where signals
    are nobody's to handle (in a thread, or without a handler), nothing is done.
    """
    loop = asyncio.get_running_loop()
    handlers: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(tell)
        handlers[number](number, frame)

    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        handlers = {number: found for number, found in handlers.items() if callable(found)}
    for number in handlers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, found in handlers.items():
            signal.signal(number, found)
