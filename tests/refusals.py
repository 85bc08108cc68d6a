"""Refusals as tests compare them: code and path of every problem, in the order given."""

from collections.abc import Callable, Iterable

import pytest

from models.domain.errors import Code, Path, Problem, Refused

Found = list[tuple[Code, Path]]


def found(problems: Iterable[Problem]) -> Found:
    return [(problem.code, problem.path) for problem in problems]


def refusal(attempt: Callable[[], object]) -> Found:
    """What `attempt` is refused for; the test fails where it is not."""
    with pytest.raises(Refused) as caught:
        attempt()
    return found(caught.value.problems)
