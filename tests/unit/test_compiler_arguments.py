"""The arguments of compiled operations: what an executor would give to resolvers, or a bail-out where it errs."""

import asyncio
from enum import Enum
from types import SimpleNamespace
from typing import Annotated, Any, Final

import pytest
import strawberry
from graphql import parse, validate

from api.compiler import Bail, compile_with_resolvers


@strawberry.enum
class Mood(Enum):
    GLAD = "glad"
    SAD = "sad"


@strawberry.input
class Wish:
    size: int
    mood: Mood = Mood.GLAD
    tags: list[str] = strawberry.field(default_factory=list)


@strawberry.type
class Query:
    @strawberry.field
    def told(
        self,
        needed: int,
        number: int = 7,
        word: str | None = strawberry.UNSET,
        mood: Mood = Mood.SAD,
        moods: list[Mood | None] | None = strawberry.UNSET,
        wishes: list[Wish] | None = None,
        from_: Annotated[float | None, strawberry.argument(name="from")] = 0.5,
    ) -> str:
        return repr((needed, number, word, mood, moods, wishes, from_))


@strawberry.type
class Mutation(Query):
    pass


SCHEMA: Final = strawberry.Schema(Query, Mutation)
KINDS: Final = ("query", "mutation")
DECLARED: Final = {
    "needed": "Int!",
    "number": "Int",
    "word": "String",
    "mood": "Mood",
    "moods": "[Mood]",
    "wishes": "[Wish!]",
    "from": "Float",
}
ALL: Final = "({}) {{ told({}) }}".format(
    ", ".join(f"${name}: {kind}" for name, kind in DECLARED.items()), ", ".join(f"{name}: ${name}" for name in DECLARED)
)
GIVEN: Final[dict[str, Any]] = {
    "needed": 1,
    "number": 2,
    "word": "a",
    "mood": "GLAD",
    "moods": ["SAD", None],
    "wishes": [{"size": 3}, {"size": 4, "mood": "SAD", "tags": ["b"]}],
    "from": 2,
}
MIXED: Final = {
    "nothing but what is needed": "{ told(needed: 1) }",
    "a literal beside variables": "($number: Int, $moods: [Mood]) { told(needed: 5, number: $number, moods: $moods) }",
    "variables within literals": (
        "($number: Int!, $mood: Mood! = SAD, $word: String!) "
        "{ told(needed: $number, moods: [$mood], wishes: [{size: $number, mood: $mood, tags: [$word]}], word: $word) }"
    ),
    "a variable for two arguments": "($number: Int!) { told(number: $number, needed: $number, from: 1) }",
    "defaults of variables": "($number: Int = 3, $mood: Mood = GLAD) { told(needed: 1, number: $number, mood: $mood) }",
    "a variable within a literal that may not be null": (
        "($mood: Mood = SAD) { told(needed: 1, wishes: [{size: 2, mood: $mood}]) }"
    ),
    "a null": "($number: Int!) { told(needed: $number, wishes: null, from: null) }",
    "variables that are never null": "($number: Int! = 5, $mood: Mood!) { told(needed: $number, mood: $mood) }",
}


def compiled(document: str, variables: dict[str, Any], *, is_valid: bool = True) -> Any:
    parsed = parse(document)
    assert (validate(SCHEMA._schema, parsed) == []) == is_valid  # noqa: SLF001  # it has no other way to its types
    plan = compile_with_resolvers(SCHEMA, parsed, None).plan(variables)

    async def run() -> Any:
        return await plan.run(variables, SimpleNamespace())

    try:
        return asyncio.run(run())
    except Bail:
        return None


def executed(document: str, variables: dict[str, Any]) -> Any:
    result = SCHEMA.execute_sync(document, variables)
    return None if result.errors else result.data


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DECLARED)
def test_argument__whose_variable_is_given_or_null_or_left_out__is_as_the_executor_has_it(kind: str, name: str) -> None:
    others = {other: value for other, value in GIVEN.items() if other != name}
    for variables in (GIVEN, others, {**others, name: None}, {"needed": 1, name: GIVEN[name]}, {**others, name: {}}):
        assert compiled(kind + ALL, variables) == executed(kind + ALL, variables)


@pytest.mark.parametrize(
    ("name", "refuses"), [(name, name in {"needed", "number", "mood"}) for name in DECLARED], ids=str
)
def test_argument__that_is_given_null_by_a_variable__bails_out_where_it_may_be_none(
    name: str, *, refuses: bool
) -> None:
    assert (compiled("mutation" + ALL, {**GIVEN, name: None}) is None) == refuses


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", MIXED)
def test_arguments__some_of_them_literals__are_as_the_executor_has_them(case: str, kind: str) -> None:
    document = kind + MIXED[case]
    for variables in (GIVEN, {"number": 8}, {"number": None, "mood": None}, {}):
        assert compiled(document, variables) == executed(document, variables)
    assert compiled(document, GIVEN) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_argument__that_is_needed_and_has_no_value__bails_out(kind: str) -> None:
    """No valid document has it, so nobody gives such a one to the compiler."""
    document = kind + "($needed: Int) { told(needed: $needed) }"
    assert [compiled(document, given, is_valid=False) for given in ({}, {"needed": None})] == [None, None]
    assert compiled(document, {"needed": 1}, is_valid=False) == compiled(kind + "{ told(needed: 1) }", {})
