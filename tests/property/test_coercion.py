"""Variables are coerced as an executor coerces them, or not at all."""

from typing import Any, Final

import pytest
from graphql import build_schema, get_variable_values, parse
from graphql.execution.values import VariableValuesOrErrors
from graphql.language import OperationDefinitionNode
from hypothesis import given
from hypothesis import strategies as st

from api.compiler import Bail
from api.compiler.inputs import coercion_of_variables
from tests.property.strategies import THOROUGH

SCHEMA: Final = build_schema(
    """
    enum Colour { RED GREEN }
    input Part { id: ID! name: String size: Float = 1.5 colours: [Colour!] = [RED] }
    input Whole { parts: [Part!]! first: Part count: Int = 3 sold: Boolean grid: [[Int]] colour: Colour! = GREEN }
    input Nested { word: String! within: Nested }
    input One @oneOf { word: String number: Int }
    scalar Anything
    input Any { some: Anything! other: Anything }
    type Query { ask(any: Any, whole: Whole, nested: Nested, one: One): String }
    """
)
LEAVES: Final = (
    st.none()
    | st.booleans()
    | st.integers(-(2**33), 2**33)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["RED", "GREEN", "BLUE", "", "é"])
)
OF_PARTS: Final = ("id", "name", "size", "colours")
OF_WHOLES: Final = ("parts", "first", "count", "sold", "grid", "colour")
NAMES: Final = (*OF_PARTS, *OF_WHOLES, "word", "within", "some", "other")
ANYTHING: Final = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
)
TEXT: Final = st.text(max_size=3)
COLOUR: Final = st.sampled_from(["RED", "GREEN"])
INT: Final = st.integers(-(2**31), 2**31 - 1)


def maybe(kind: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | kind


PART: Final = st.fixed_dictionaries(
    {"id": TEXT}, optional={"name": maybe(TEXT), "size": maybe(INT | st.floats(-1, 1)), "colours": st.lists(COLOUR)}
)
WHOLE: Final = st.fixed_dictionaries(
    {"parts": st.lists(PART, max_size=3)},
    optional={
        "first": maybe(PART),
        "count": maybe(INT),
        "sold": maybe(st.booleans()),
        "grid": maybe(st.lists(maybe(st.lists(maybe(INT), max_size=2)), max_size=2)),
        "colour": COLOUR,
    },
)
DECLARED: Final = (
    "$x: Whole!",
    "$x: Whole",
    "$x: [Part!]",
    "$x: [Part]!",
    "$x: Colour!",
    "$x: ID",
    "$x: Int = 4",
    "$x: Nested",
    "$x: One!",
    "$x: Any!",
    "$x: Anything!",
    "$x: [Anything!]",
)


def coerced_and_expected(declared: str, variables: dict[str, Any]) -> tuple[Any, Any]:
    """What variables are coerced to, and what by the executor; None where that bails out, or tells errors."""
    (operation,) = parse(f"query ({declared}) {{ __typename }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    named = operation.variable_definitions or ()
    expected = get_variable_values(SCHEMA, named, variables)
    try:
        coerced = coercion_of_variables(SCHEMA, named)(variables)
    except Bail:
        return None, told(expected)
    return told(coerced), told(expected)


def told(values: VariableValuesOrErrors) -> Any:
    """What can be compared of values; `repr` also tells their types and their order."""
    if isinstance(values, list):
        return None
    sources = {name: (source.value, str(source.signature.type)) for name, source in values.sources.items()}
    return values.coerced, sources, repr(values.coerced)


@THOROUGH
@given(whole=WHOLE, is_left_out=st.booleans())
def test_variables__of_their_types__are_coerced(whole: dict[str, Any], *, is_left_out: bool) -> None:
    for declared, value in (("$x: Whole!", whole), ("$x: [Part!]", whole["parts"]), ("$x: Whole", whole)):
        variables = {} if is_left_out and declared == "$x: Whole" else {"x": value}
        coerced, expected = coerced_and_expected(declared, variables)
        assert coerced is not None
        assert coerced == expected


@THOROUGH
@given(declared=st.sampled_from(DECLARED), value=ANYTHING | WHOLE | PART | LEAVES)
def test_variables__of_any_kind__are_coerced_as_by_the_executor_or_not_at_all(declared: str, value: Any) -> None:
    coerced, expected = coerced_and_expected(declared, {"x": value})
    assert coerced is None or coerced == expected


@pytest.mark.parametrize("declared", DECLARED)
def test_variable__that_is_left_out__is_as_the_executor_has_it(declared: str) -> None:
    coerced, expected = coerced_and_expected(declared, {})
    assert coerced == expected
