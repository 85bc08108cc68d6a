"""An operation over a WebSocket whose client is left: what it was not told of does not count as told."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

from starlette.websockets import WebSocket

from api.conversation import Conversation, _Operation
from api.streams import Answer, Streams
from models.services.access import named_asker


def test_operation__silenced_while_an_answer_is_on_its_way__asks_for_no_other() -> None:
    asked: list[int] = []

    async def answers(*_: Any) -> AsyncIterator[Answer]:
        for number in (1, 2, 3):
            asked.append(number)  # as a feed takes the last one for given, once it is asked for the next
            operation.leave()
            yield Answer(shown={"data": {"sequence": number}}, final=False)

    streams = SimpleNamespace(answers=answers, send_seconds=1.0)
    asker = named_asker("dev", request_id="silenced")
    listener = SimpleNamespace(leave=lambda: None)
    operation = _Operation(id="1", asked=cast("Any", None), listener=cast("Any", listener))

    async def run() -> None:
        conversation = Conversation(cast("WebSocket", None), cast("Streams", streams), asker, asyncio.Event())
        await conversation._operate(operation)  # noqa: SLF001  # no client can time it so

    asyncio.run(run())
    assert asked == [1]
