"""What comes over a connection that was taken over is read alike in whatever parts it comes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from models.store.lanes import Lane

Row = tuple[str | int | None, ...]
COLUMNS: Final = (str, int, str)
BATCH: Final = ["whoever asked"]
# Others than rows, which tell nothing: bound, a notice, a setting that changed, executed.
OTHERS: Final = [(b"2", b""), (b"N", b"SNOTICE\0Mhello\0\0"), (b"S", b"TimeZone\0UTC\0"), (b"C", b"SELECT 1\0")]
rows = st.tuples(
    st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.integers(-(2**63), 2**63), st.none() | st.just("")
)


@dataclass
class Connection:
    """A driver's connection, and the transport that it would have."""

    sent: list[bytes] = field(default_factory=list)
    is_ended: bool = False

    @property
    def _transport(self) -> "Connection":
        return self

    def is_closing(self) -> bool:
        return self.is_ended

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def terminate(self) -> None:
        self.is_ended = True


@dataclass
class Told:
    answers: list[list[Row]] = field(default_factory=list)
    losses: list[tuple[Sequence[str], type[BaseException]]] = field(default_factory=list)


def message(kind: bytes, content: bytes) -> bytes:
    return kind + (len(content) + 4).to_bytes(4, "big") + content


def row(values: Row) -> bytes:
    texts = [None if value is None else str(value).encode() for value in values]
    found = [b"\xff" * 4 if text is None else len(text).to_bytes(4, "big") + text for text in texts]
    return message(b"D", len(values).to_bytes(2, "big") + b"".join(found))


def on_a_lane(work: Callable[[Lane[str], Connection], None], seconds: float = 60) -> Told:
    """What is told by a lane that a list of two keys is asked on."""
    told, connection = Told(), Connection()

    async def run() -> None:
        driver: Any = connection
        is_lost = asyncio.Event()

        def lost(_lane: Lane[str], batch: Sequence[str], error: BaseException) -> None:
            told.losses.append((batch, type(error)))
            is_lost.set()

        lane: Lane[str] = Lane(
            driver,
            b"one",
            b"many",
            COLUMNS,
            lambda _lane, _batch, found: told.answers.append(found),
            lost,
            seconds,
        )
        lane.ask(["a", "b"], BATCH)
        work(lane, connection)
        if seconds == 0:
            await is_lost.wait()
        lane.close()

    asyncio.run(run())
    return told


@given(found=st.lists(rows, max_size=4), data=st.data())
def test_rows__that_come_in_any_parts__are_told_whole(found: list[Row], data: st.DataObject) -> None:
    messages = [row(each) for each in found] + [message(*each) for each in OTHERS]
    stream = b"".join(data.draw(st.permutations(messages))) + message(b"Z", b"I")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=8)))

    def come(lane: Lane[str], _connection: Connection) -> None:
        for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            lane.data_received(stream[begin:end])

    told = on_a_lane(come)
    assert [sorted(answer, key=str) for answer in told.answers] == [sorted(found, key=str)]
    assert told.losses == []


def test_list__of_keys__is_bound_as_one_text() -> None:
    sent: list[bytes] = []
    on_a_lane(lambda _lane, connection: sent.extend(connection.sent))
    value = b'{"a","b"}'
    bound = message(b"B", b"\0many\0\0\0\0\x01" + len(value).to_bytes(4, "big") + value + b"\0\0")
    assert sent == [bound + message(b"E", b"\0\0\0\0\0") + message(b"S", b"")]


def test_error__of_the_server__ends_the_lane() -> None:
    error = message(b"E", b"SERROR\0C57014\0Mcanceling statement\0\0")
    told = on_a_lane(lambda lane, _connection: lane.data_received(error + message(b"Z", b"I")))
    assert (told.answers, [(batch, kind.__name__) for batch, kind in told.losses]) == ([], [(BATCH, "PostgresError")])


def test_connection__that_is_lost__is_told_of_once() -> None:
    def lose(lane: Lane[str], _connection: Connection) -> None:
        lane.connection_lost(None)
        lane.connection_lost(OSError())

    assert on_a_lane(lose).losses == [(BATCH, ConnectionResetError)]


def test_statement__that_takes_too_long__is_told_of() -> None:
    assert on_a_lane(lambda *_: None, seconds=0).losses == [(BATCH, TimeoutError)]
