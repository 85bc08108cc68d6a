"""Variables are coerced as an executor coerces them, or not at all."""

from typing import Any, Final

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_variable_values,
    parse,
)
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
    input Odd {
      from: Int in: String = "in" value: Boolean coerced: [[Colour]] it: ID! k0: Float = 2 known: Part bail: [Part]
    }
    input There { back: Back } input Back { there: [There!] }
    input One @oneOf { word: String number: Int }
    scalar Anything
    input Any { some: Anything! other: Anything }
    type Query { ask(any: Any, whole: Whole, nested: Nested, one: One, odd: Odd, there: There): String }
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
OF_ODD: Final = ("from", "in", "value", "coerced", "it", "k0", "known", "bail")
OF_WHOLES: Final = ("parts", "first", "count", "sold", "grid", "colour")
NAMES: Final = (*OF_PARTS, *OF_WHOLES, *OF_ODD, "word", "within", "some", "other")
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
    "$x: Odd",
    "$x: [[Int!]]",
    "$x: There!",
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


ODD: Final = {"it": "me"}
TAKEN: Final = (
    ("$x: Odd!", ODD),
    ("$x: Odd", ODD | dict.fromkeys(OF_ODD[:4])),
    ("$x: Odd!", dict.fromkeys(reversed(OF_ODD)) | ODD),
    ("$x: Odd!", ODD | {"from": 1.0, "in": "", "value": True, "coerced": [], "k0": 3, "known": {"id": ""}, "bail": []}),
    ("$x: Odd!", ODD | {"coerced": [["RED", None], None, []], "bail": [None, {"id": "a", "colours": ["GREEN"]}]}),
    ("$x: [[Int!]]", [[2**31 - 1, -(2**31)], None, [], [-0.0, 5.0]]),
    ("$x: Nested", {"word": "a", "within": {"word": "b"}}),
    ("$x: There!", {"back": {"there": [{"back": None}, {}]}}),
)
WRONG: Final[dict[str, list[Any]]] = {
    "from": [True, "1", 1.5, 2**31, -(2**31) - 1, 10**40, 1e300, [], {}],
    "in": [1, True, [], {}],
    "value": [1, 0, "true", {}],
    "coerced": [[["BLUE"]], [["red"]], [[""]], [["__name__"]], [[1]], [[True]], [[[]]], [[{}]], [{}]],
    "k0": [True, "2", 10**400, []],
    "known": [{}, {"id": None}, {"id": "a", "colours": [None]}, "id"],
}
REFUSED: Final = (
    ("$x: Odd!", None),
    ("$x: Odd!", {}),
    ("$x: Odd!", {"it": None}),
    ("$x: Odd!", [ODD]),
    ("$x: Odd!", "it"),
    ("$x: Odd!", ODD | {"nobody": None}),
    ("$x: Odd!", ODD | {"In": "a"}),
    ("$x: Odd!", ODD | {"k1": 1}),
    *(("$x: Odd!", ODD | {name: each}) for name, wrong in WRONG.items() for each in wrong),
    ("$x: Odd!", ODD | {"bail": [{"id": "a"}, {"id": "b", "it": "c"}]}),
    ("$x: [[Int!]]", [[None]]),
    ("$x: Colour!", None),
    ("$x: Any!", {"some": None}),
    ("$x: There!", {"back": {"there": [None]}}),
    *(("$x: One!", each) for each in ({}, {"word": None}, {"word": "a", "number": 1}, {"word": "a", "number": None})),
)
LEFT_TO_THE_EXECUTOR: Final = (("$x: Odd!", {"it": 7}), ("$x: Odd!", ODD | {"bail": {"id": "a"}}), ("$x: [[Int!]]", 1))


@pytest.mark.parametrize(("declared", "value"), TAKEN)
def test_variable__of_its_type_at_an_edge__is_coerced(declared: str, value: Any) -> None:
    coerced, expected = coerced_and_expected(declared, {"x": value})
    assert coerced is not None
    assert coerced == expected


@pytest.mark.parametrize(("declared", "value"), REFUSED)
def test_variable__that_is_not_of_its_type__is_not_coerced(declared: str, value: Any) -> None:
    assert coerced_and_expected(declared, {"x": value}) == (None, None)


@pytest.mark.parametrize(("declared", "value"), LEFT_TO_THE_EXECUTOR)
def test_variable__as_clients_seldom_send_it__is_left_to_the_executor(declared: str, value: Any) -> None:
    coerced, expected = coerced_and_expected(declared, {"x": value})
    assert coerced is None
    assert expected is not None


def test_input__that_holds_itself__is_nested_no_deeper_than_the_executor_allows() -> None:
    value: dict[str, Any] = {}
    for _ in range(500):
        value = {"back": {"there": [value]}}
    assert coerced_and_expected("$x: There!", {"x": value}) == (None, None)


def test_input__whose_fields_go_by_other_names__is_coerced_under_those() -> None:
    """As schemas of graphql-core itself may have it; and inputs made into something else are left to the executor."""
    fields = {"from": GraphQLInputField(GraphQLInt, out_name="from_"), "in": GraphQLInputField(GraphQLInt, 3, "in_")}
    renamed = GraphQLInputObjectType("Renamed", fields)
    made = GraphQLInputObjectType("Made", fields, out_type=lambda value: [*value])
    args = {"renamed": GraphQLArgument(renamed), "made": GraphQLArgument(made)}
    schema = GraphQLSchema(GraphQLObjectType("Query", {"ask": GraphQLField(GraphQLInt, args)}))
    for kind, value in (("Renamed", {}), ("Renamed!", {"from": 1}), ("Made!", {"from": 1})):
        (operation,) = parse(f"query ($x: {kind}) {{ __typename }}").definitions
        assert isinstance(operation, OperationDefinitionNode)
        named = operation.variable_definitions or ()
        expected = get_variable_values(schema, named, {"x": value})
        assert told(coercion_of_variables(schema, named)({"x": value})) == told(expected)
        assert not isinstance(expected, list)
