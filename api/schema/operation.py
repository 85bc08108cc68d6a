"""What came of an operation, for those who watch: names of the schema and codes, never what a client sent."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

DONE: Final = "DONE"

_none_yet: Final[partial[defaultdict[Any, int]]] = partial(defaultdict, int)


@dataclass(slots=True, kw_only=True)
class Operation:
    """Filled in as the operation goes on; whole when it has ended.

    `kind` is query, mutation, subscription, or none where the document held no operation to run; `fields` are those of
    the root, `codes` those of the GraphQL errors. `changes` counts mutations by what came of them: (name, `DONE`), or
    (name, code) for each code that it was refused for. `resolutions` counts answers by their rule's source. `begun` is
    when, by the clock of `time.perf_counter`; `compiled` says that no executor took part.
    """

    kind: str = "none"
    fields: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    changes: defaultdict[tuple[str, str], int] = field(default_factory=_none_yet)
    resolutions: dict[str, int] = field(default_factory=_none_yet)
    compiled: bool = False
    begun: float = field(default_factory=time.perf_counter)

    def refused_for(self) -> list[str]:
        """The codes that its mutations were refused for."""
        return sorted({outcome for _, outcome in self.changes} - {DONE}) if self.changes else []


class Summary(NamedTuple):
    """What is told of a query that was answered: the fields of its root, its resolutions by their rules' sources."""

    fields: tuple[str, ...]
    sources: tuple[tuple[str, int], ...]


class Ready(NamedTuple):
    """The answer to a query, as it is sent."""

    body: bytes
    summary: Summary


Observer = Callable[[Operation], None]  # is told once an operation has ended
