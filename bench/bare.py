"""The yardstick: a bare Starlette route that reads a POST's JSON and answers with JSON of a given size, and no more.

The answer is in the file that BENCH_ANSWER names; it is the one that the server under measure gives. `raw` is what is
left without Starlette: an ASGI application that reads the body and answers constant bytes.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

_TEXT: Final = Path(os.environ["BENCH_ANSWER"]).read_bytes()
_ANSWER: Final[Any] = json.loads(_TEXT)


async def answer(request: Request) -> JSONResponse:
    body = await request.json()
    assert isinstance(body, dict)
    return JSONResponse(_ANSWER)


app: Final = Starlette(routes=[Route("/graphql", answer, methods=["POST"])])

_START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_TEXT)).encode("ascii"))],
}
_BODY: Final = {"type": "http.response.body", "body": _TEXT}


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":  # the server's lifespan, of which there is none here
        raise NotImplementedError
    while (await receive()).get("more_body"):
        pass
    await send(_START)
    await send(_BODY)
