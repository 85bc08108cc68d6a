"""The SQL statements that requests send to the database."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import structlog
from sqlalchemy import Engine, event

NUMBERS: Final = itertools.count(1)


class Statement(NamedTuple):
    text: str
    parameters: tuple[Any, ...]


@dataclass
class Watch:
    """What is sent to any database of this process on account of a request of its own."""

    _sent: dict[str, list[Statement]] = field(default_factory=dict)

    def request(self) -> tuple[Mapping[str, str], list[Statement]]:
        """Headers for a request, and its statements, which fill up while it is answered."""
        request_id = f"counted-{next(NUMBERS)}"
        return {"X-Request-Id": request_id}, self._sent.setdefault(request_id, [])

    def note(self, _connection: object, _cursor: object, text: str, parameters: Any, *_: object) -> None:
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        if request_id in self._sent and text != "BEGIN":  # transactions of reads begin of themselves
            self._sent[request_id].append(Statement(text, tuple(parameters)))


@contextmanager
def watching() -> Iterator[Watch]:
    watch = Watch()
    event.listen(Engine, "before_cursor_execute", watch.note)
    try:
        yield watch
    finally:
        event.remove(Engine, "before_cursor_execute", watch.note)
