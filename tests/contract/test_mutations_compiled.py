"""A mutation whose document is known is compiled; it answers and counts as it does otherwise, and is made once."""

from collections.abc import Callable
from typing import Final

import pytest

from models.domain.tokens import Scope
from tests.client import Api, Json
from tests.contract.recipes import REASON
from tests.contract.test_metrics import Counting
from tests.tokens import make_token
from tests.towns import HAIKU, make_town, rule

WAYS: Final = {"executed": 1, "compiled": 2}  # of three times, the first is not known yet
# Each of its own, so that no other test has made it known.
SET: Final = (
    "mutation SetOnce($input: SetOverrideInput!) { it: setOverride(input: $input) { currentVersion overrideSet "
    "{ version overrides { key } town { name } } userErrors { code path message } } }"
)
BROKEN_BELOW: Final = (
    "mutation Broken($input: SetOverrideInput!) { it: setOverride(input: $input) { currentVersion overrideSet "
    "{ town { beads(first: 0) { pageInfo { hasNextPage } } } } userErrors { code } } }"
)
FORBIDDEN: Final = "mutation Never($input: SetOverrideInput!) { setOverride(input: $input) { currentVersion } }"
TWO: Final = (
    "mutation Two($a: SetOverrideInput!, $b: SetOverrideInput!) { a: setOverride(input: $a) { currentVersion } "
    "b: setOverride(input: $b) { currentVersion } }"
)


@pytest.fixture
def towns(shared_api: Api) -> list[str]:
    return [make_town(shared_api, rigs=()) for _ in range(3)]


@pytest.fixture
def counting(shared_api: Api, towns: list[str]) -> Counting:
    assert towns  # which are not counted any more
    return Counting(shared_api)


def setting(town_id: str, expected_version: int = 1) -> Json:
    return {
        "townId": town_id,
        "expectedVersion": expected_version,
        "reason": REASON,
        "override": rule(HAIKU, "MAYOR"),
    }


def thrice(api: Api, query: str, given: Callable[[str], Json], towns: list[str]) -> list[Json]:
    """What is answered in each of the towns, but for its name."""
    return [plain(api.execute(query, **given(town_id)), town_id) for town_id in towns]


def plain(answer: Json, town_id: str) -> Json:
    return {**answer, "town": town_id in str(answer)}


def test_mutation__that_is_made__answers_alike(counting: Counting, towns: list[str]) -> None:
    api = counting.api
    found = thrice(api, SET, lambda town_id: {"input": setting(town_id)}, towns)
    names = [answer["data"]["it"]["overrideSet"].pop("town")["name"] for answer in found]
    assert len(names) == 3
    assert found[1:] == [found[0]] * 2
    assert found[0]["data"]["it"] == {
        "currentVersion": 2,
        "overrideSet": {"version": 2, "overrides": [{"key": "mayor"}]},
        "userErrors": [],
    }
    assert {way: counting("graphql_operations_total", way=way) for way in WAYS} == {"executed": 1, "compiled": 2}
    assert counting("mutations_total", mutation="setOverride", outcome="DONE") == 3
    assert counting("graphql_operation_seconds_count", operation="mutation", field="setOverride") == 3


def test_mutation__that_is_refused__answers_alike(counting: Counting, towns: list[str]) -> None:
    found = thrice(counting.api, SET, lambda town_id: {"input": setting(town_id, 7)}, towns)
    assert found[1:] == [found[0]] * 2
    assert [error["code"] for error in found[0]["data"]["it"]["userErrors"]] == ["VERSION_CONFLICT"]
    assert counting("mutations_total", mutation="setOverride", outcome="VERSION_CONFLICT") == 3
    assert [counting.api.version(town_id) for town_id in towns] == [1, 1, 1]


def test_mutation__whose_answer_has_an_error_in_it__is_made_once(counting: Counting, towns: list[str]) -> None:
    api = counting.api
    found = thrice(api, BROKEN_BELOW, lambda town_id: {"input": setting(town_id)}, towns)
    assert found[1:] == [found[0]] * 2
    assert found[0]["data"]["it"] == {"currentVersion": 2, "overrideSet": None, "userErrors": []}
    assert [error["extensions"]["code"] for error in found[0]["errors"]] == ["INVALID_INPUT"]
    assert [api.version(town_id) for town_id in towns] == [2, 2, 2]
    assert counting("mutations_total", mutation="setOverride", outcome="DONE") == 3
    assert counting("graphql_operation_seconds_count", operation="mutation", field="setOverride") == 3


def test_mutation__that_one_may_not_make__is_refused_alike(dev: Api, shut: Api) -> None:
    towns = [make_town(dev, rigs=()) for _ in range(3)]
    reader = shut.holding(make_token(dev.url, Scope.READER))
    found = thrice(reader, FORBIDDEN, lambda town_id: {"input": setting(town_id)}, towns)
    assert found[1:] == [found[0]] * 2
    assert [error["extensions"]["code"] for error in found[0]["errors"]] == ["FORBIDDEN"]
    assert [dev.version(town_id) for town_id in towns] == [1, 1, 1]


def test_mutations__several_in_one__are_made_in_their_order(shared_api: Api, towns: list[str]) -> None:
    for town_id in towns:
        second = {**setting(town_id, 2), "override": rule(HAIKU, "REFINERY")}
        found = shared_api.data(TWO, a=setting(town_id), b=second)
        assert found == {"a": {"currentVersion": 2}, "b": {"currentVersion": 3}}
