"""Limits on documents: each at its edge, and what a document does to slip under them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any, Final

import pytest
from graphql import (
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_introspection_query,
    get_operation_ast,
    parse,
)
from graphql.language import (
    DocumentNode,
    FieldNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

from api.schema import build_schema
from api.schema.counting import count, page_size, sizes_of, values_of
from api.schema.limits import QueryLimits, refusal
from api.settings import Settings
from api.wiring import query_limits
from tests.written_out import ANY, BOUNDLESS, watched

SCHEMA: Final = build_schema()._schema  # noqa: SLF001
SIZES: Final = sizes_of(SCHEMA)
LIMITS: Final = query_limits(Settings())


def judged(
    query: str | DocumentNode, limits: QueryLimits = LIMITS, operation_name: str | None = None, /, **variables: Any
) -> GraphQLError | None:
    document = parse(query) if isinstance(query, str) else query
    return refusal(document, limits, SIZES, operation_name, variables)


def over(
    query: str | DocumentNode, limits: QueryLimits = LIMITS, operation_name: str | None = None, /, **variables: Any
) -> str | None:
    """Which limit a document is over."""
    error = judged(query, limits, operation_name, **variables)
    return None if error is None else str((error.extensions or {}).get("limit"))


def cost(query: str, operation_name: str | None = None, /, **variables: Any) -> int:
    """What the operation to run costs."""
    document = parse(query)
    chosen = get_operation_ast(document, operation_name)
    return next(
        counts.cost
        for definition, counts in count(document, SIZES, values_of(chosen, variables))
        if definition is chosen
    )


def nested(depth: int) -> str:
    return "{ a " * depth + "}" * depth


def chain(length: int, spreads: int) -> str:
    """Fragments each of which spreads the next some times; the last one has a field."""
    links = (f"fragment F{n} on Query {{ {f'...F{n + 1} ' * spreads}}}" for n in range(length - 1))
    return f"{{ ...F0 }} {' '.join(links)} fragment F{length - 1} on Query {{ a }}"


def costing(total: int) -> str:
    """A document of few fields that costs `total`: a field, a page of 200 nodes below it, and some more beside that."""
    per_node, rest = divmod(total - 2, 200)
    return f"{{ a {{ beads(first: 200) {{ {'c ' * per_node} }} {'d ' * rest} }} }}"


# ---- each at its edge

AT_THE_EDGE: Final[Mapping[str, tuple[int, Callable[[int], str]]]] = {
    "operations": (5, lambda n: " ".join(f"query Q{i} {{ a }}" for i in range(n))),
    "fragments": (30, lambda n: "{ a } " + " ".join(f"fragment F{i} on Query {{ a }}" for i in range(n))),
    "depth": (12, nested),
    "introspection depth": (20, lambda n: f"{{ __schema {nested(n - 1)} }}"),
    "root fields": (20, lambda n: "{ " + "a " * n + "}"),
    "fields": (800, lambda n: "{ a { " + "b " * (n - 1) + "} }"),
    "aliases": (30, lambda n: "{ a { " + " ".join(f"x{i}: b" for i in range(n)) + " } }"),
    "directives": (30, lambda n: "{ a " + "@x " * n + "}"),
    "cost": (50_000, costing),
}
# The same, one more than allowed, hidden where a careless eye would not look.
HIDDEN: Final = {
    "root fields in a fragment": ("root fields", "{ ...F } fragment F on Query { " + "a " * 21 + "}"),
    "root fields in inline fragments": ("root fields", "{ ... { ... on Query { " + "a " * 21 + "} } }"),
    "root fields in a fragment spread twice": (
        "root fields",
        "{ a ...F ...F } fragment F on Query { " + "a " * 10 + "}",
    ),
    "depth in inline fragments": ("depth", "{ a { ... { ... on B { " + nested(12)[1:-1] + " } } } }"),
    "depth in fragments": ("depth", "{ a { a { ...F } } } fragment F on Query " + nested(11)),
    "depth in fragments of fragments": (
        "depth",
        "{ a { ...G } } fragment G on Query { a { ...F } } fragment F on Query " + nested(11),
    ),
    "depth in a mutation": ("depth", "mutation " + nested(13)),
    "depth in a subscription": ("depth", "subscription " + nested(13)),
    "depth in an operation that is not run": ("depth", "query A { a } query B " + nested(13)),
    "depth in a fragment that is not spread": ("depth", "{ a } fragment F on Query " + nested(13)),
    "depth in the first of two fragments of a name": (
        "depth",
        "{ ...F } fragment F on Query " + nested(13) + " fragment F on Query { a }",
    ),
    "depth beside introspection": ("depth", "{ __schema { a } " + nested(13)[1:]),
    "introspection depth in a fragment": (
        "introspection depth",
        "{ __schema { ...F } } fragment F on T " + nested(20),
    ),
    "introspection depth in a fragment on it that is not spread": (
        "introspection depth",
        "{ a } fragment F on __Type " + nested(21),
    ),
    "introspection depth in a fragment on it that is spread elsewhere": (
        "introspection depth",
        "{ a { ...F } } fragment F on __Type " + nested(20),
    ),
    "introspection depth below __type": (
        "introspection depth",
        "{ __type { a { ...F } } } fragment F on T " + nested(19),
    ),
    "fields in a fragment": ("fields", "{ a { ...F ...F } } fragment F on A { " + "b " * 400 + "}"),
    "fields of one name": ("fields", "{ a { " + "b " * 800 + "} }"),
    "aliases in a fragment": (
        "aliases",
        "{ a { x: a ...F ...F } } fragment F on A { " + " ".join(f"x{i}: b" for i in range(15)) + " }",
    ),
    "directives on a spread": ("directives", "{ ...F " + "@x " * 31 + "} fragment F on Query { a }"),
    "directives on an inline fragment": ("directives", "{ ... " + "@x " * 31 + "{ a } }"),
    "directives on an operation": ("directives", "query " + "@x " * 31 + "{ a }"),
    "directives on a fragment": ("directives", "{ ...F } fragment F on Query " + "@x " * 31 + "{ a }"),
    "directives on variables": ("directives", "query (" + "$a: Int @x @x @x " * 11 + ") { a }"),
    "directives in a fragment": (
        "directives",
        "{ ...F @x ...F } fragment F on Query @x @x @x @x @x { a @x @x @x @x @x ... @x @x @x @x @x { a } }",
    ),
}


@pytest.mark.parametrize("limit", AT_THE_EDGE)
def test_document__at_a_limit__is_taken_and_one_above_is_refused_for_it(limit: str) -> None:
    allowed, document = AT_THE_EDGE[limit]
    assert judged(document(allowed)) is None
    error = judged(document(allowed + 1))
    assert error is not None
    assert error.extensions == {"code": "QUERY_LIMIT", "limit": limit, "allowed": allowed}
    assert error.message.startswith("The document has ")
    assert f"{allowed + 1:,}" in error.message
    assert limit in error.message
    assert error.message.endswith(f"; the limit is {allowed:,}.")


@pytest.mark.parametrize(("limit", "query"), HIDDEN.values(), ids=HIDDEN)
def test_document__over_a_limit_in_a_hidden_place__is_refused_for_it(limit: str, query: str) -> None:
    assert over(query) == limit


@pytest.mark.parametrize("limit", ["root_fields", "fields", "aliases", "directives", "depth", "cost"])
def test_document__over_a_limit_that_was_raised__is_taken(limit: str) -> None:
    name = limit.replace("_", " ")
    allowed, document = AT_THE_EDGE[name]
    assert over(document(allowed + 1)) == name
    assert judged(document(allowed + 1), replace(LIMITS, **{limit: allowed + 1})) is None


def test_introspection__as_tools_send_it__is_taken() -> None:
    options = dict.fromkeys(
        ("specified_by_url", "directive_is_repeatable", "schema_description", "input_value_deprecation"), True
    )
    assert judged(get_introspection_query(**options)) is None


def test_introspection__where_the_depth_is_set_low__is_taken_nonetheless() -> None:
    assert judged(get_introspection_query(), replace(LIMITS, depth=3)) is None


# ---- fragments


def looks(query: str) -> tuple[list[int], int]:
    """The selections that were looked at, by identity, and how many the document has."""
    document = parse(query)
    seen, total = watched(document)
    judged(document)
    return seen, total


@pytest.mark.parametrize("spreads", [1, 2, 10])
def test_fragments__each_spreading_the_next__are_counted_as_expanded(spreads: int) -> None:
    fields = spreads**3
    assert judged(chain(4, spreads), replace(BOUNDLESS, fields=fields)) is None
    assert over(chain(4, spreads), replace(BOUNDLESS, fields=fields - 1)) == "fields"


@pytest.mark.parametrize(("length", "spreads"), [(1, 0), (8, 1), (8, 3), (30, 1)])
def test_fragments__however_often_they_are_spread__are_looked_into_once(length: int, spreads: int) -> None:
    seen, total = looks(chain(length, spreads))
    assert len(seen) == len(set(seen)) == total


@pytest.mark.parametrize("spreads", [2, 10, 100])
def test_fragments__that_grow_exponentially__are_refused_and_each_selection_is_looked_at_once(spreads: int) -> None:
    error = judged(chain(30, spreads), replace(LIMITS, root_fields=ANY))
    assert error is not None
    told = "536,870,912" if spreads == 2 else "over 1,000,000,000"
    assert error.message == f"The document has {told} fields; the limit is 800."
    seen, total = looks(chain(30, spreads))
    assert len(seen) == len(set(seen)) == total


def test_fragments__that_grow_exponentially_but_are_not_spread__are_refused() -> None:
    assert over("{ a }" + chain(29, 2).removeprefix("{ ...F0 }")) == "fields"


@pytest.mark.parametrize(
    "query",
    [
        "{ ...A } fragment A on Query { ...A }",
        "{ a } fragment A on Query { ...A }",
        "{ ...A } fragment A on Q { a { ... { ...B } } } fragment B on Q { ...C } fragment C on Q { ...A ...B }",
        "{ a } " + chain(30, 10).removeprefix("{ ...F0 }").replace("{ a }", "{ ...F0 }"),
    ],
)
def test_fragments__in_a_circle__are_refused_as_invalid(query: str) -> None:
    error = judged(query)
    assert error is not None
    assert error.extensions == {"code": "GRAPHQL_VALIDATION_FAILED"}
    assert error.message.startswith("Fragments may not spread themselves, nor each other in a circle: ")


def test_fragments__in_a_circle__are_named() -> None:
    error = judged("{ ...C } fragment A on Query { ...B } fragment B on Query { ...A } fragment C on Query { ...A }")
    assert error is not None
    assert error.message.partition(": ")[2] in {"A, B.", "B, A."}


def test_fragments__that_are_not_there__are_left_to_validation() -> None:
    assert judged("{ a ...Nowhere } fragment A on Query { ...NorHere }") is None


# ---- documents that no recursion survives


def test_document__deeper_than_the_stack__is_refused() -> None:
    leaf = FieldNode(name=NameNode(value="a"))
    deep = reduce(
        lambda inner, _: FieldNode(name=leaf.name, selection_set=SelectionSetNode(selections=(inner,))),
        range(5_000),
        leaf,
    )
    operation = OperationDefinitionNode(
        operation=OperationType.QUERY, selection_set=SelectionSetNode(selections=(deep,))
    )
    assert over(DocumentNode(definitions=(operation,))) == "depth"


def test_document__deeper_than_the_stack_by_fragments__is_refused() -> None:
    deep = (f"fragment F{n} on Query {'{ a ' * 99}{{ ...F{n + 1} }}{'}' * 99}" for n in range(30))
    assert over("{ ...F0 } " + " ".join(deep)) == "depth"


def test_fragments__more_than_the_stack_holds__are_counted_where_so_many_are_allowed() -> None:
    assert over(chain(3_000, 2), replace(BOUNDLESS, fields=800)) == "fields"


# ---- what it costs


@pytest.mark.parametrize(
    ("first", "size"),
    [
        ("", 50),
        ("(first: null)", 50),
        ("(first: 1)", 1),
        ("(first: 50)", 50),
        ("(first: 200)", 200),
        ("(first: 201)", 200),
        ("(first: 0)", 200),
        ("(first: -7)", 200),
        ("(first: " + "9" * 5_000 + ")", 200),
        ("(first: -" + "9" * 5_000 + ")", 200),
        ('(first: "7")', 200),
        ("(first: 7.0)", 200),
        ("(first: true)", 200),
        ("(first: [7])", 200),
        ('(after: "x")', 50),
        ('(after: "x", first: 7)', 7),
    ],
)
def test_page__of_a_size_in_the_text__counts_as_often(first: str, size: int) -> None:
    assert cost(f"{{ town {{ beads{first} {{ edges {{ node {{ beadId }} }} }} }} }}") == 2 + 3 * size


@pytest.mark.parametrize(
    ("variables", "size", "size_with_default"),
    [
        ({}, 50, 7),
        ({"n": None}, 50, 50),
        ({"n": 1}, 1, 1),
        ({"n": 200}, 200, 200),
        ({"n": 201}, 200, 200),
        ({"n": 10**30}, 200, 200),
        ({"n": 0}, 200, 200),
        ({"n": -1}, 200, 200),
        ({"n": 9.0}, 9, 9),
        ({"n": float("inf")}, 200, 200),
        ({"n": float("nan")}, 200, 200),
        ({"n": "7"}, 200, 200),
        ({"n": True}, 200, 200),
        ({"n": [7]}, 200, 200),
        ({"n": {}}, 200, 200),
        ({"m": 3}, 50, 7),
    ],
)
def test_page__of_a_size_in_a_variable__counts_as_often(
    variables: dict[str, Any], size: int, size_with_default: int
) -> None:
    asked = "{ towns(first: $n) { edges } }"
    assert cost(f"query ($n: Int) {asked}", **variables) == 1 + size
    assert cost(f"query ($n: Int = 7) {asked}", **variables) == 1 + size_with_default


@pytest.mark.parametrize(
    ("given", "variables", "size"),
    [
        ("[]", {}, 0),
        ('["a"]', {}, 1),
        ('["a", $b, "c"]', {"b": ["x", "y"]}, 3),
        ('"a"', {}, 1),
        ("7", {}, 1),
        ("null", {}, 1),
        ("$b", {}, 1),
        ("$b", {"b": None}, 1),
        ("$b", {"b": []}, 0),
        ("$b", {"b": ["a", "b"]}, 2),
        ("$b", {"b": ["a"] * 1000}, 1000),
        ("$b", {"b": ["a"] * 1001}, 1000),
        ("$b", {"b": "abc"}, 1),
        ("$b", {"b": 7}, 1),
        ("$b", {"b": {"a": 1, "b": 2}}, 1),
    ],
)
def test_list__of_beads__counts_as_often_as_it_is_long(given: str, variables: dict[str, Any], size: int) -> None:
    assert cost(f"query ($b: [ID!]) {{ resolutions(beadIds: {given}) {{ beadId }} }}", **variables) == 1 + size


def test_list__of_beads_by_default__counts_as_often_as_it_is_long() -> None:
    assert cost('query ($b: [ID!]! = ["a", "b"]) { resolutions(beadIds: $b) { beadId } }') == 3


def test_pages__in_each_other__multiply() -> None:
    assert cost("{ towns(first: 3) { edges { node { beads(first: 5) { edges } } } } }") == 1 + 3 * (1 + 1 + 1 + 5)


def test_pages__beside_each_other__add() -> None:
    assert cost("{ towns(first: 3) { edges } auditEntries(first: 5) { edges } }") == 1 + 3 + 1 + 5


def test_page__in_a_fragment__counts_wherever_it_is_spread() -> None:
    fragment = "fragment F on Town { beads(first: 5) { edges } }"
    assert cost(f"{{ town {{ ...F }} towns(first: 3) {{ ...F ... {{ ...F }} }} }} {fragment}") == 2 + 6 + 2 * 3 * 6


def test_page__over_the_cost__is_refused_only_where_it_is_run() -> None:
    query = "query Dear { " + costing(50_001)[1:] + " query Cheap { a }"
    assert over(query, LIMITS, "Dear") == "cost"
    assert over(query, LIMITS, "Cheap") is None


def test_pages__two_full_ones_in_each_other__are_refused_whatever_is_asked_of_them() -> None:
    query = "{ towns(first: 200) { edges { node { beads(first: 200) { edges { cursor } } } } } }"
    assert over(query) == "cost"


def test_beads__a_thousand_with_all_about_their_resolution__are_taken() -> None:
    assert judged(f"query ($b: [ID!]!) {{ resolutions(beadIds: $b) {{ {'c ' * 49} }} }}", b=["x"] * 1000) is None


def test_sizes__of_fields_by_their_name__are_those_of_pages_but_for_three_others() -> None:
    fields = {
        f"{kind}.{name}": (each, *SIZES[name])
        for kind in SCHEMA.type_map.values()
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        for name, each in kind.fields.items()
        if name in SIZES
    }
    others = {name for name, (each, argument, _) in fields.items() if argument not in each.args}
    assert others == {"ModelCount.beads", "SyncBeadsPayload.beads", "Viewer.towns"}
    pages = [each for each, argument, _ in fields.values() if argument == "first" and "first" in each.args]
    assert {each.args["first"].default_value for each in pages} == {page_size(None)}
    assert all(str(each.type).endswith("Connection!") for each in pages)


def test_sizes__of_connections__are_all_there() -> None:
    named = {
        name
        for kind in SCHEMA.type_map.values()
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        for name, each in kind.fields.items()
        if "Connection" in str(each.type)
    }
    assert named == {name for name, (argument, _) in SIZES.items() if argument == "first"}
