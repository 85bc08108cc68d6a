"""A stretch of network between Townclerk and PostgreSQL that breaks when a test says so."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_CHUNK = 65_536


class Break(Enum):
    """When the connection breaks that a COMMIT is sent over."""

    NEVER = auto()
    BEFORE_COMMIT_ARRIVES = auto()
    AFTER_COMMIT_IS_DONE = auto()


@dataclass
class Proxy:
    """`url` leads to the same database by way of the proxy. `breaks` is for the next COMMIT alone.

    While it is `silent` nothing comes through, and nobody is told: as where a host is gone without a word.
    """

    url: str
    breaks: Break = Break.NEVER
    silent: bool = False


@contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    """A proxy before the PostgreSQL of `url`, which listens on a socket in a folder."""
    parts = urlsplit(url)
    (folder,) = parse_qs(parts.query)["host"]
    made = Proxy("")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)

    async def handle(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_unix_connection(str(Path(folder) / ".s.PGSQL.5432"))

        def hang_up() -> None:
            to_client.close()
            to_server.close()

        committing = False

        async def pass_on(
            source: asyncio.StreamReader, target: asyncio.StreamWriter, breaks: Callable[[bytes], bool]
        ) -> None:
            try:
                with suppress(OSError):
                    while (some := await source.read(_CHUNK)) and not breaks(some):
                        while made.silent:  # noqa: ASYNC110  # set by another thread
                            await asyncio.sleep(0.01)
                        target.write(some)
                        await target.drain()
            finally:
                hang_up()

        def breaks_on_the_way_there(some: bytes) -> bool:
            nonlocal committing
            committing = b"COMMIT;" in some  # READ COMMITTED is something else
            breaks = committing and made.breaks is Break.BEFORE_COMMIT_ARRIVES
            if breaks:
                made.breaks = Break.NEVER
            return breaks

        def breaks_on_the_way_back(_some: bytes) -> bool:
            breaks = committing and made.breaks is Break.AFTER_COMMIT_IS_DONE
            if breaks:
                made.breaks = Break.NEVER
            return breaks

        await asyncio.gather(
            pass_on(client, to_server, breaks_on_the_way_there), pass_on(server, to_client, breaks_on_the_way_back)
        )

    thread.start()
    listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(handle, "127.0.0.1", 0), loop).result(10)
    try:
        port = listening.sockets[0].getsockname()[1]
        made.url = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
        yield made
    finally:
        loop.call_soon_threadsafe(listening.close)
        asyncio.run_coroutine_threadsafe(_close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
