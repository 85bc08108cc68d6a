"""Servers that ask who is there, to be bad to: whatever is done to one, nothing may go wrong inside it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from models.domain.tokens import Scope
from tests.client import Api, Json
from tests.e2e.process import Server, serving_process
from tests.raw import JSON_BODY, request
from tests.tokens import make_token

_CUT_OFF: Final = "ASGI callable returned without completing response."  # uvicorn's own words, of what is on purpose


@contextmanager
def guarded(url: str, **settings: Any) -> Iterator[Server]:
    """A server outside dev mode. Its `api` holds a token that may do everything; who has none is `api.holding(None)`.

    In the end it stops when asked, and its log tells of no failure.
    """
    token = make_token(url, *Scope, name="honest")
    with serving_process(url, dev=False, **{"shutdown_seconds": 1, **settings}) as server:
        yield replace(server, api=server.api.holding(token))
        assert server.stop() == 0
        assert (found := failures(server.log)) == [], found


def failures(log: Iterable[str]) -> list[Json]:
    """Those lines that tell of something that went wrong inside; each line at all has to be JSON."""
    lines: list[Json] = [json.loads(line) for line in log if _CUT_OFF not in line]
    return [
        line
        for line in lines
        if line["level"] in {"error", "critical"}
        or line.get("status") == 500
        or "INTERNAL_ERROR" in line.get("codes", ())
    ]


def serves(api: Api) -> bool:
    """Whether an honest request, which takes a look into the database, is answered on a connection of its own."""
    answer = request(api, JSON_BODY, body=b'{"query": "{ profiles { name } }"}')
    return (answer.status, answer.codes) == (200, [])
