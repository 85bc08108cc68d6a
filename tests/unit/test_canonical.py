import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.canonical import canonical_bytes

LARGEST = 2**53 - 1
DEEPEST = 100
CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)

# RFC 8785 as published: the strings and literals of section 3.2.2, integers of appendix B, and those files of the
# test data beside it (github.com/cyberphone/json-canonicalization) that hold neither fractions nor other keys.
PUBLISHED: list[tuple[object, bytes]] = [
    ('€$\x0f\nA\'B"\\\\"/', b'"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
    ([None, True, False], b"[null,true,false]"),
    (0, b"0"),
    (LARGEST, b"9007199254740991"),
    (-LARGEST, b"-9007199254740991"),
    ([56, {"d": True, "10": None, "1": []}], b'[56,{"1":[],"10":null,"d":true}]'),
    ({"Unnormalized Unicode": "A\u030a"}, b'{"Unnormalized Unicode":"A\xcc\x8a"}'),
    (
        {"1": {"f": {"f": "hi", "F": 5}, "\n": 56}, "10": {}, "": "empty", "a": {}, "111": [{}], "A": {}},
        b'{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}',
    ),
]

KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


@pytest.mark.parametrize(("value", "expected"), PUBLISHED)
def test_canonical_bytes__published_vector__are_as_published(value: object, expected: bytes) -> None:
    assert canonical_bytes(value) == expected


@pytest.mark.parametrize("code_point", [*range(0x20), 0x22, 0x5C, 0x7F, 0x80, 0x2028, 0xFFFF, 0x1F600])
def test_canonical_bytes__each_odd_character__are_those_of_rfc8785(code_point: int) -> None:
    text = chr(code_point)
    assert canonical_bytes(text) == rfc8785.dumps(text)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_canonical_bytes__any_value_of_the_subset__are_those_of_rfc8785(value: Any) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ((1, ("a",)), [1, ["a"]]),
        (MappingProxyType({"b": MappingProxyType({"a": 1})}), {"b": {"a": 1}}),
        ([MappingProxyType({})], [{}]),
    ],
)
def test_canonical_bytes__frozen_values__are_those_of_the_plain_ones(value: object, plain: object) -> None:
    assert canonical_bytes(value) == canonical_bytes(plain)


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        1.0,
        0.0,
        math.nan,
        math.inf,
        LARGEST + 1,
        -LARGEST - 1,
        10**400,
        Decimal(1),
        b"bytes",
        {"a", "b"},
        datetime(2026, 11, 23, tzinfo=UTC),
        object(),
        "\ud800",
        "a\udfffb",
        {"é": 1},
        {"\ud800": 1},
        {1: "a"},
        {None: "a"},
        {1: "a", "b": "c"},
        {("a",): 1},
        CIRCLE,
    ],
)
def test_canonical_bytes__outside_the_subset__are_refused(value: object) -> None:
    for inside in (value, [value], {"key": [None, value]}):
        with pytest.raises(ValueError, match=r"."):
            canonical_bytes(inside)


def test_canonical_bytes__nested_deeply__are_those_down_to_a_hundred_levels() -> None:
    nested: Any = None
    for _ in range(DEEPEST - 1):
        nested = [nested]
    assert canonical_bytes(nested) == rfc8785.dumps(nested)
    with pytest.raises(ValueError, match=str(DEEPEST)):
        canonical_bytes([nested])


def test_canonical_bytes__keys_in_any_order__are_equal() -> None:
    pairs = [("b", 1), ("a", 2), ("B", 3), ("", 4)]
    forwards: Mapping[str, int] = dict(pairs)
    assert canonical_bytes(forwards) == canonical_bytes(dict(reversed(pairs)))
