"""A connection to PostgreSQL that asks one prepared statement, one time after the other, at the least cost.

The driver connects, signs in and prepares; then the connection is taken over. What goes to and fro from there on are
the few messages that a statement takes, in text (PostgreSQL's manual, Message Formats, protocol 3.0). Neither tasks nor
futures have a part in it: whoever made the lane is told by a call.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import copy_context
from struct import Struct
from typing import Any, Final, Generic, TypeVar

import asyncpg

T = TypeVar("T")

_ROW, _ENDED, _ERROR = ord("D"), ord("Z"), ord("E")  # other messages tell nothing that is wanted
_HEAD: Final = Struct(">BI")  # of a message: its kind, and its length without that
_SIZE: Final = Struct(">i")  # of a value; -1 for null
_GO: Final = b"E\0\0\0\x09\0\0\0\0\0" + b"S\0\0\0\x04"  # execute, all rows, and be ready for the next

Answered = Callable[["Lane[T]", Sequence[T], list[tuple[Any, ...]]], None]
Lost = Callable[["Lane[T]", Sequence[T], BaseException], None]


class Lane(asyncio.Protocol, Generic[T]):
    """`of_one` and `of_many` are names of the statement as it is prepared, for one key and for a list of them.

    `answered` is told the rows that were found for a batch. `lost` is told once, when the connection is no more, with
    the batch that was not answered, which is empty where none was under way; `TimeoutError` says that it took more than
    `seconds`. Neither may raise.
    """

    def __init__(
        self,
        connection: asyncpg.Connection,
        of_one: bytes,
        of_many: bytes,
        columns: Sequence[type[str | int]],
        answered: Answered[T],
        lost: Lost[T],
        seconds: float,
    ) -> None:
        self._connection = connection
        self._transport: asyncio.Transport = connection._transport  # noqa: SLF001  # which it has no other way to
        self._of_one = of_one
        self._of_many = of_many
        self._columns = columns
        self._answered = answered
        self._lost = lost
        self._seconds = seconds
        self._batch: Sequence[T] = ()
        self._rows: list[tuple[Any, ...]] = []
        self._rest = b""
        self._is_lost = False
        self._asked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()  # whoever asks is not the only one whom it tells
        self.has_answered = False

    def ask(self, keys: Sequence[str], batch: Sequence[T]) -> None:
        """Ask for keys, which have to be ids, on behalf of a batch that is not empty. Nothing else may be under way."""
        self._batch = batch
        self._asked_at = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look, context=self._context)
        if self._transport.is_closing():
            self._fail(ConnectionResetError())
        elif len(keys) == 1:
            self._transport.write(_bind(self._of_one, keys[0].encode()) + _GO)
        else:
            self._transport.write(_bind(self._of_many, _array(keys)) + _GO)

    def close(self) -> None:
        """End the connection, on which nothing is under way."""
        self._is_lost = True
        if self._timer is not None:
            self._timer.cancel()
        self._connection.terminate()

    def data_received(self, data: bytes) -> None:
        """Read what has come, message by message."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= _HEAD.size:
            kind, length = _HEAD.unpack_from(data, at)
            following = at + 1 + length
            if following > end:
                break
            if kind == _ROW:
                self._rows.append(self._row(data, at + _HEAD.size + 2))
            elif kind == _ENDED and self._batch:
                self._ended()
            elif kind == _ERROR:
                self._fail(asyncpg.PostgresError(data[at + _HEAD.size : following].decode("utf-8", "replace")))
                return
            at = following
        self._rest = data[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so, if that is news."""
        self._fail(exc or ConnectionResetError())

    def _row(self, data: bytes, at: int) -> tuple[Any, ...]:
        values: list[str | int | None] = []
        for column in self._columns:
            (size,) = _SIZE.unpack_from(data, at)
            at += _SIZE.size
            if size < 0:
                values.append(None)
                continue
            value = data[at : at + size]
            values.append(value.decode() if column is str else column(value))
            at += size
        return tuple(values)

    def _ended(self) -> None:
        """The statement is over. What that is told to may ask for the next at once."""
        batch, rows = self._batch, self._rows
        self._batch, self._rows = (), []
        self.has_answered = True
        self._answered(self, batch, rows)

    def _fail(self, error: BaseException) -> None:
        if self._is_lost:
            return
        self.close()
        batch, self._batch = self._batch, ()
        self._lost(self, batch, error)

    def _look(self) -> None:
        """See whether what is under way has taken too long. One timer is set for many statements."""
        self._timer = None
        if not self._batch:
            return
        left = self._asked_at + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look, context=self._context)
        else:
            self._fail(TimeoutError())


async def lane_on(
    connection: asyncpg.Connection,
    of_one: str,
    of_many: str,
    columns: Sequence[type[str | int]],
    *,
    answered: Answered[T],
    lost: Lost[T],
    seconds: float,
) -> Lane[T]:
    """A lane on a connection that has just been made, and is nobody else's. Raises what the driver does."""
    try:
        async with asyncio.timeout(seconds):
            prepared = [
                await connection.prepare(text, name=name) for name, text in (("one", of_one), ("many", of_many))
            ]
    except BaseException:
        connection.terminate()
        raise
    names = [statement.get_name().encode() for statement in prepared]
    lane = Lane(connection, names[0], names[1], columns, answered, lost, seconds)
    connection._transport.set_protocol(lane)  # noqa: SLF001  # as above
    return lane


def _bind(name: bytes, value: bytes) -> bytes:
    """Binds a prepared statement of one parameter; what is given and found is text."""
    length = 4 + 1 + len(name) + 1 + 2 + 2 + 4 + len(value) + 2
    return b"B%b\0%b\0\0\0\0\x01%b%b\0\0" % (
        length.to_bytes(4, "big"),
        name,
        len(value).to_bytes(4, "big"),
        value,
    )


def _array(keys: Sequence[str]) -> bytes:
    """A list of ids, which have nothing in them that would have to be escaped."""
    return ('{"' + '","'.join(keys) + '"}' if keys else "{}").encode()
