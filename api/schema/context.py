"""What a resolver has at hand: the store, who asks, and what the request has read so far."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import strawberry

from api.pubsub import Listener
from api.schema.loaders import Loaders
from api.schema.operation import Operation
from models.services.access import Asker
from models.services.history import Caller
from models.store.unit import Store


@dataclass(slots=True)
class Act:
    """What came of an operation's only mutation: its answer, or why there is none. It is not made twice.

    `outcomes` are the codes that it was refused for, or `DONE`; `written` says that it is stored.
    """

    answer: Any = None
    error: BaseException | None = None
    outcomes: frozenset[str] = frozenset()
    written: bool = False
    is_over: bool = False


@dataclass(kw_only=True)
class Context:
    """One operation's. `read_anew` is called after each write and before each event, so that later fields see it.

    `listener` is there where the transport can carry a subscription. `weight` is that of the request, in bytes.
    `answer_by`, by the event loop's clock, is when what can be finished later is to be left. `act` is there where the
    operation is a mutation whose answer may have to be told once more.
    """

    store: Store
    asker: Asker
    listener: Listener | None = None
    weight: int = 0
    answer_by: float | None = None
    operation: Operation = field(default_factory=Operation)
    act: Act | None = None
    written: bool = field(default=False, init=False)
    loaders: Loaders = field(init=False)

    def __post_init__(self) -> None:
        self.read_anew()

    async def caller(self) -> Caller:
        """On whose account a change is made. Raises `StorageUnavailableError`."""
        return await self.asker.caller(self.store)

    def is_late(self) -> bool:
        """Whether it is time to answer with what is done so far."""
        return self.answer_by is not None and asyncio.get_running_loop().time() >= self.answer_by

    def wrote(self) -> None:
        """Say that the mutation under way is stored; what is read for its answer sees it."""
        self.written = True
        self.read_anew()

    def read_anew(self) -> None:
        self.loaders = Loaders(self.store, self.asker.grant)


Info = strawberry.Info[Context, None]
