"""Buckets: so many at once, then so many in the long run, for each key by itself."""

from dataclasses import dataclass

import pytest

from api.buckets import Buckets


@dataclass
class Hands:
    """A clock that a test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def buckets(clock: Hands) -> Buckets:
    return Buckets(most=3, per_second=0.5, size=2, monotonic=clock)


def test_bucket__that_is_full__gives_all_it_has_and_no_more(buckets: Buckets) -> None:
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 2]


def test_bucket__that_is_empty__fills_up_again_but_not_over(buckets: Buckets, clock: Hands) -> None:
    for _ in range(3):
        buckets.take("a")
    clock.now = 2
    assert [buckets.take("a") for _ in range(2)] == [0, 2]
    clock.now = 1000
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 2]


def test_bucket__that_was_asked_in_vain__is_not_set_back(buckets: Buckets, clock: Hands) -> None:
    for _ in range(10):
        buckets.take("a")
    clock.now = 2
    assert buckets.take("a") == 0


def test_bucket__of_another__is_not_touched(buckets: Buckets) -> None:
    for _ in range(4):
        buckets.take("a")
    assert (buckets.wait("a"), buckets.wait("b")) == (2, 0)


def test_buckets__of_more_keys_than_are_known__forget_who_took_longest_ago(buckets: Buckets) -> None:
    for key in "abc":
        for _ in range(3):
            buckets.take(key)
    assert [buckets.wait(key) for key in "abc"] == [0, 2, 2]
