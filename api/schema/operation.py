"""What came of an operation, for those who watch: names of the schema and codes, never what a client sent."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final

DONE: Final = "DONE"


@dataclass(slots=True, kw_only=True)
class Operation:
    """Filled in as the operation goes on; whole when it has ended.

    `kind` is query, mutation, subscription, or none where the document held no operation to run; `fields` are those of
    the root, `codes` those of the GraphQL errors. `changes` counts mutations by what came of them: (name, `DONE`), or
    (name, code) for each code that it was refused for. `resolutions` counts answers by their rule's source.
    """

    kind: str = "none"
    fields: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    resolutions: Counter[str] = field(default_factory=Counter)


Observer = Callable[[Operation], AbstractContextManager[None]]  # entered before the operation, left when it has ended
