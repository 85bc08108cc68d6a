"""Compiled operations over a schema about something else: what an executor answers, or a bail-out."""

import asyncio
from dataclasses import field
from datetime import date
from enum import Enum
from typing import Any, Final

import pytest
import strawberry
from graphql import parse, validate
from strawberry.schema.config import StrawberryConfig

from api.compiler import READER, Bail, CompiledOperation, Plan, compile_operation


@strawberry.enum
class Mood(Enum):
    GLAD = "glad"
    SAD = "sad"


@strawberry.input
class Taste:
    mood: Mood = Mood.GLAD
    tags: list[str] = strawberry.field(default_factory=list)


@strawberry.interface
class Named:
    @strawberry.field
    def name(self) -> str:
        return type(self).__name__


@strawberry.type
class Author(Named):
    age: int | None = 40
    born: date = date(1815, 12, 10)

    @strawberry.field
    def books(self) -> list["Book | None"]:
        return [Book(), None]

    @strawberry.field
    async def slowly(self) -> str:
        return "slowly"

    async def waited_for(self) -> str:
        return f"read, {self.age}"

    read = strawberry.field(resolver=waited_for, metadata={READER: lambda author: f"read, {author.age}"})

    @strawberry.field
    def greeting(self, to: str = "you") -> str:
        return f"hello {to}"


@strawberry.type
class Book:
    id: strawberry.ID = strawberry.ID("b1")
    moods: list[Mood] = field(default_factory=lambda: [Mood.GLAD, Mood.SAD])
    sold: bool = True
    copies: int = 3
    price: float = 2.5

    @strawberry.field
    def author(self) -> Author:
        return Author()

    @strawberry.field
    def lost(self) -> str | None:
        return None

    @strawberry.field
    def torn(self) -> str:
        return None  # type: ignore[return-value]  # as a faulty resolver may

    @strawberry.field
    def too_many(self) -> int:
        return 2**31

    @strawberry.field
    def broken(self) -> str:
        raise LookupError("broken")


@strawberry.type
class Query:
    @strawberry.field
    def book(self, id: strawberry.ID) -> Book | None:  # noqa: A002  # as schemas have it
        return Book(id=id)

    @strawberry.field
    def books(self, ids: list[strawberry.ID], at_most: int = 10, *, sold: bool = True) -> list[Book]:
        return [Book(id=each, sold=sold) for each in ids][:at_most]

    @strawberry.field
    def liked(self, taste: Taste, by: str | None = None) -> Book:
        return Book(id=strawberry.ID(f"{taste.mood} {taste.tags} {by}"))

    @strawberry.field
    def other(self) -> Book:
        return Book()


SCHEMA: Final = strawberry.Schema(Query, config=StrawberryConfig(relay_max_results=1))
ROOTS: Final = ("book", "books", "liked")
RESOLVERS: Final = {"book": Query.book, "books": Query.books, "liked": Query.liked}


def compiled(query: str, name: str | None = None) -> CompiledOperation[Plan]:
    document = parse(query)
    assert validate(SCHEMA._schema, document) == []  # noqa: SLF001  # it has no other way to its types
    return compile_operation(SCHEMA, document, name, roots=ROOTS)


def answered(query: str, variables: dict[str, Any], name: str | None = None) -> Any:
    """What a compiled operation answers, with values from the very resolvers that the executor has."""
    plan = compiled(query, name).plan(variables)
    return plan.answer([getattr(Query(), call.field)(**call.arguments) for call in plan.calls(variables)])


def executed(query: str, variables: dict[str, Any]) -> Any:
    result = asyncio.run(SCHEMA.execute(query, variables))
    assert result.errors is None
    return result.data


ANSWERED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "a field": ("query ($id: ID!) { book(id: $id) { id } }", {"id": "b7"}),
    "__typename at all levels": ('{ __typename book(id: "1") { __typename author { __typename } } }', {}),
    "aliases": ('{ one: book(id: "1") { a: id b: id } two: book(id: "2") { id } }', {}),
    "leaves of each kind": ('{ book(id: "1") { id moods sold copies price lost author { age born } } }', {}),
    "a resolver of an interface": ('{ book(id: "1") { author { name } } }', {}),
    "lists with nothing in them": ("query ($ids: [ID!]!) { books(ids: $ids) { id } }", {"ids": []}),
    "lists of objects": ('{ books(ids: ["1", "2"]) { author { books { id } } } }', {}),
    "a named reader": ('{ book(id: "1") { author { read } } }', {}),
    "merged fields": (
        '{ book(id: "1") { author { age } author { born } ...F } } fragment F on Book { author { name } }',
        {},
    ),
    "fragments in fragments": (
        """query { book(id: "1") { ...A } } fragment A on Book { id ...B }
        fragment B on Book { sold author { ...C } } fragment C on Named { name }""",
        {},
    ),
    "fragments that do not apply": (
        '{ book(id: "1") { author { ... on Named { name } ... @skip(if: true) { age } } } }',
        {},
    ),
    "a condition": ("query ($c: Boolean!) { book(id: 5) { id @include(if: $c) sold @skip(if: $c) } }", {"c": True}),
    "the same, otherwise": (
        "query ($c: Boolean!) { book(id: 5) { id @include(if: $c) sold @skip(if: $c) } }",
        {"c": False},
    ),
    "a root that is skipped": (
        'query ($c: Boolean!) { a: book(id: "1") @skip(if: $c) { id } __typename }',
        {"c": True},
    ),
    "text beside an input": (
        "query ($t: Taste!, $by: String!) { a: liked(taste: $t, by: $by) { id } b: liked(taste: {}, by: $by) { id } }",
        {"t": {"mood": "SAD"}, "by": "me"},
    ),
    "text inside an input and by itself": (
        "query ($x: String!) { a: liked(taste: {tags: [$x]}, by: $x) { id } b: liked(taste: {}, by: $x) { id } }",
        {"x": "sweet"},
    ),
    "a list of text beside a number": (
        "query ($ids: [ID!]!, $n: Int!) { books(ids: $ids, atMost: $n) { id } }",
        {"ids": ["1", "2"], "n": 1},
    ),
    "text given twice": ("query ($id: ID!) { a: book(id: $id) { id } b: book(id: $id) { sold } }", {"id": "x"}),
    "a list of text": ("query ($ids: [ID!]!) { books(ids: $ids) { id } }", {"ids": ["1", "2"]}),
    "a default left alone": ("query ($ids: [ID!]!) { books(ids: $ids) { id } }", {"ids": ["1"] * 12}),
    "a default replaced": (
        "query ($ids: [ID!]!, $m: Int) { books(ids: $ids, atMost: $m) { id } }",
        {"ids": ["1", "2"], "m": 1},
    ),
    "a default of a variable": ('query ($id: ID! = "7") { book(id: $id) { id } }', {}),
    "a number as an id": ("query ($id: ID!) { book(id: $id) { id } }", {"id": 7}),
    "an input": ("query ($t: Taste!) { liked(taste: $t) { id } }", {"t": {"mood": "SAD", "tags": ["a"]}}),
    "an input with a variable": ("query ($g: [String!]!) { liked(taste: {tags: $g}) { id } }", {"g": ["a"]}),
    "an input, and text": ("query ($b: String!) { liked(taste: {}, by: $b) { id } }", {"b": "me"}),
    "null for text": ("query ($b: String) { liked(taste: {}, by: $b) { id } }", {"b": None}),
    "variables that nobody declared": ("query ($id: ID!) { book(id: $id) { id } }", {"id": "1", "more": 2}),
}


@pytest.mark.parametrize("case", ANSWERED)
def test_compiled__operation_without_errors__answers_as_the_executor_does(case: str) -> None:
    query, variables = ANSWERED[case]
    try:
        found = answered(query, variables)
    except Bail:
        assert case == "a number as an id", "it bailed out"
        return
    expected = executed(query, variables)
    assert found == expected
    assert repr(found) == repr(expected)  # in the same order, and of the same types


def test_compiled__operation_of_several__is_the_one_that_is_named() -> None:
    query = 'query A { book(id: "1") { id } } query B { book(id: "2") { id } }'
    assert answered(query, {}, "B") == {"book": {"id": "2"}}


UNCOMPILABLE: Final = {
    "a root that nobody gives": "{ other { id } }",
    "introspection": "{ __schema { queryType { name } } }",
    "a resolver that waits": '{ book(id: "1") { author { slowly } } }',
    "a field with an argument": '{ book(id: "1") { author { greeting(to: "me") } } }',
    "a resolver that has more parameters": '{ book(id: "1") { author { greeting } } }',
    "a condition that may be null": 'query ($c: Boolean = true) { book(id: "1") { id @skip(if: $c) } }',
    "many conditions": "query ({}) {{ book(id: 1) {{ {} }} }}".format(
        ", ".join(f"$c{number}: Boolean!" for number in range(5)),
        " ".join(f"f{number}: id @skip(if: $c{number})" for number in range(5)),
    ),
}


@pytest.mark.parametrize("case", UNCOMPILABLE)
def test_compile__of_what_takes_an_executor__bails_out(case: str) -> None:
    with pytest.raises(Bail):
        compiled(UNCOMPILABLE[case])


UNANSWERED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "a null that may not be": ('{ book(id: "1") { torn } }', {}),
    "a number out of range": ('{ book(id: "1") { tooMany } }', {}),
    "a resolver that fails": ('{ book(id: "1") { broken } }', {}),
    "no value for a variable": ("query ($id: ID!) { book(id: $id) { id } }", {}),
    "a value of another type": ("query ($ids: [ID!]!) { books(ids: $ids) { id } }", {"ids": [{}]}),
    "null in a list beside a number": (
        "query ($ids: [ID!]!, $n: Int!) { books(ids: $ids, atMost: $n) { id } }",
        {"ids": [None], "n": 1},
    ),
    "no list beside a number": (
        "query ($ids: [ID!]!, $n: Int!) { books(ids: $ids, atMost: $n) { id } }",
        {"ids": [[]], "n": 1},
    ),
    "null in a list": ("query ($ids: [ID!]!) { books(ids: $ids) { id } }", {"ids": [None]}),
    "a condition that is none": ("query ($c: Boolean!) { book(id: 1) { id @skip(if: $c) } }", {"c": 1}),
    "no condition": ("query ($c: Boolean!) { book(id: 1) { id @skip(if: $c) } }", {}),
    "an input with too much in it": ("query ($t: Taste!) { liked(taste: $t) { id } }", {"t": {"colour": 1}}),
    "no condition, though it is an argument": (
        'query ($g: Boolean!, $c: Boolean!) { books(ids: "1", sold: $g) @skip(if: $c) { id } }',
        {"c": True},
    ),
    "an unknown word": ("query ($t: Taste!) { liked(taste: $t) { id } }", {"t": {"mood": "MAD"}}),
}


@pytest.mark.parametrize("case", UNANSWERED)
def test_compiled__operation_that_is_an_error__answers_nothing(case: str) -> None:
    query, variables = UNANSWERED[case]
    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever it is, the executor comes upon it as well
        answered(query, variables)
    assert SCHEMA.execute_sync(query, variables).errors


def test_plans__of_an_operation__are_charged_for_as_they_are_made() -> None:
    document = parse("query ($c: Boolean!) { book(id: 1) { id @skip(if: $c) author { name age } } }")
    charged: list[int] = []
    operation = compile_operation(SCHEMA, document, None, roots=ROOTS, charge=charged.append)
    assert charged == [4]
    for skips in (True, False, False):
        operation.plan({"c": skips})
    assert charged == [4, 5]


@pytest.mark.parametrize(
    ("given", "compiles"), [("", True), ("by: null", True), ("by: $by", True), ('by: "me"', False), ('by: "" ', False)]
)
def test_root__with_an_argument_that_it_is_answered_without__is_not_compiled(given: str, *, compiles: bool) -> None:
    document = parse(f"query ($by: String, $taste: Taste!) {{ liked(taste: $taste, {given}) {{ id }} }}")
    if compiles:
        compile_operation(SCHEMA, document, None, roots=ROOTS, without={"by"})
    else:
        with pytest.raises(Bail):
            compile_operation(SCHEMA, document, None, roots=ROOTS, without={"by"})
