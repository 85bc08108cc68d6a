"""The SQL statements that requests send to the database."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pytest
from sqlalchemy import Engine, event

from api.requests import current_request
from models.store import strict
from models.store.lookups import _Lookup
from models.store.strict import StrictReads

NUMBERS: Final = itertools.count(1)


class Statement(NamedTuple):
    text: str
    parameters: tuple[Any, ...]


@dataclass
class Watch:
    """What is sent to any database of this process on account of a request of its own."""

    _sent: dict[str, list[Statement]] = field(default_factory=dict)

    def request(self) -> tuple[Mapping[str, str], list[Statement]]:
        """Headers for a request, and its statements, which fill up while it is answered.

        It has an origin, which sends it to the door: at the hatch nobody could tell whose statements are whose.
        """
        request_id = f"counted-{next(NUMBERS)}"
        headers = {"X-Request-Id": request_id, "Origin": "https://elsewhere.example"}
        return headers, self._sent.setdefault(request_id, [])

    def note(self, _connection: object, _cursor: object, text: str, parameters: Any, *_: object) -> None:
        request_id = current_request()
        if request_id in self._sent and text != "BEGIN":  # transactions of reads begin of themselves
            self._sent[request_id].append(Statement(text, tuple(parameters)))


@contextmanager
def watching() -> Iterator[Watch]:
    watch = Watch()
    event.listen(Engine, "before_cursor_execute", watch.note)
    with pytest.MonkeyPatch.context() as patch:
        for reads in StrictReads.__subclasses__():
            patch.setattr(reads, "ask", _noting(watch, reads.ask))
        patch.setattr(_Lookup, "_rows", _noting_prepared(watch, _Lookup._rows))  # noqa: SLF001  # past the engine
        try:
            yield watch
        finally:
            event.remove(Engine, "before_cursor_execute", watch.note)


def _noting(watch: Watch, ask: Callable[..., None]) -> Callable[..., None]:
    """A strict read that is taken down: it goes to a driver, past the engine."""

    def noted(reads: StrictReads, statement: strict.Statement, keys: Sequence[str], then: strict.Then) -> None:
        watch.note(None, None, f"strict {statement.name}", keys)
        ask(reads, statement, keys, then)

    return noted


def _noting_prepared(watch: Watch, rows: Callable[..., Any]) -> Callable[..., Any]:
    """A prepared lookup that is taken down, for the same reason."""

    def noted(lookup: _Lookup, text: str, parameters: Sequence[Any]) -> Any:
        watch.note(None, None, text, parameters)
        return rows(lookup, text, parameters)

    return noted
