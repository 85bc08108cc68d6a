"""Reads in batches: what is shared, what is told, and what is asked again."""

import asyncio
import gc
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from api.schema.batches import Batches
from tests.sizes import SECONDS

T = TypeVar("T")


FAULTS: dict[int, BaseException] = {13: LookupError(), 17: asyncio.CancelledError()}


def run(work: Callable[[Batches[int, int]], Awaitable[T]], *, most: int = 10) -> tuple[T, list[list[int]]]:
    """What `work` gives with batches that double their keys, and what was read.

    The keys of `FAULTS` can't be read, and for 19 too little is.
    """
    reads: list[list[int]] = []

    async def read(keys: list[int]) -> list[int]:
        reads.append(keys)
        await asyncio.sleep(0)
        for key in FAULTS.keys() & keys:
            raise FAULTS[key]
        return [2 * key for key in keys if key != 19]

    async def with_batches() -> T:
        return await work(Batches(read, most=most))

    return asyncio.run(with_batches()), reads


def test_keys__asked_at_the_same_time__are_read_at_once() -> None:
    async def in_a_task(batches: Batches[int, int]) -> int:
        return await batches.load(3)

    async def work(batches: Batches[int, int]) -> list[int]:
        return [*await asyncio.gather(batches.load(1), batches.load(2), batches.load(1), in_a_task(batches))]

    assert run(work) == ([2, 4, 2, 6], [[1, 2, 3]])


def test_key__asked_again__is_not_read_again() -> None:
    async def work(batches: Batches[int, int]) -> list[int]:
        return [await batches.load(1), await batches.load(2), await batches.load(1)]

    assert run(work) == ([2, 4, 2], [[1], [2]])


def test_key__that_is_known__is_told_at_once_and_not_read() -> None:
    reads: list[list[int]] = []

    async def read(keys: list[int]) -> list[int]:
        reads.append(keys)
        return [2 * key for key in keys]

    async def ask() -> tuple[bool, list[int]]:
        batches = Batches(read, most=10, known={3: 7}.get)
        return batches.load(3).done(), await batches.load_many([1, 3])

    assert asyncio.run(ask()) == (True, [2, 7])
    assert reads == [[1]]


def test_keys__more_than_a_read_takes__are_read_by_several() -> None:
    assert run(lambda batches: batches.load_many(range(5)), most=2) == ([0, 2, 4, 6, 8], [[0, 1], [2, 3], [4]])


@pytest.mark.parametrize("key", [13, 17, 19])
@pytest.mark.parametrize("most", [1, 2, 10])
def test_read__that_fails_in_any_way__leaves_nobody_waiting(key: int, most: int) -> None:
    async def work(batches: Batches[int, int]) -> set[asyncio.Future[int]]:
        return (await asyncio.wait([batches.load(each) for each in (1, key, 3, 4)], timeout=SECONDS))[1]

    assert run(work, most=most)[0] == set()


def test_read__that_fails__is_told_to_all_whom_it_should_have_served() -> None:
    async def work(batches: Batches[int, int]) -> list[int | BaseException]:
        failed = await asyncio.gather(batches.load(1), batches.load(13), return_exceptions=True)
        return [*failed, await batches.load(2)]

    (first, second, after), _ = run(work)
    assert isinstance(first, LookupError)
    assert isinstance(second, LookupError)
    assert after == 4


@pytest.mark.parametrize("turns", range(5))
def test_key__given_up_while_it_is_waited_for__is_told_to_others(turns: int) -> None:
    async def work(batches: Batches[int, int]) -> list[int]:
        alone, beside = batches.load(1), batches.load(1)
        several = asyncio.ensure_future(batches.load_many([1, 2]))
        others = asyncio.ensure_future(batches.load_many([1, 3]))
        for _ in range(turns):
            await asyncio.sleep(0)
        alone.cancel()
        several.cancel()
        return [*await others, await beside, await batches.load(1), await batches.load(2)]

    found, reads = run(work)
    assert found == [2, 6, 2, 2, 4]
    assert sorted(itertools.chain(*reads)) == [1, 2, 3]


@pytest.mark.filterwarnings("error")
def test_read__that_fails__when_all_have_given_up__is_nobodys_error(caplog: pytest.LogCaptureFixture) -> None:
    async def work(batches: Batches[int, int]) -> None:
        batches.load(13).cancel()
        for _ in range(5):
            await asyncio.sleep(0)

    assert run(work) == (None, [[13]])
    gc.collect()
    assert caplog.records == []
