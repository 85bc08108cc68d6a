"""Compiled operations that call resolvers, over a schema about something else: what an executor answers, or errors."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Annotated, Any, Final

import pytest
import strawberry
from graphql import parse, validate
from strawberry.dataloader import DataLoader

from api.compiler import READER, Bail, CompiledOperation, ResolvingPlan, compile_with_resolvers


@strawberry.input
class Wish:
    colour: str = "red"
    sizes: list[int] = strawberry.field(default_factory=list)


@strawberry.interface
class Named:
    @strawberry.field
    def name(self) -> str:
        return type(self).__name__


@strawberry.type
class Animal(Named):
    number: int = 1

    @strawberry.field
    async def sound(self, info: strawberry.Info[Any, None], times: int = 1) -> str:
        told: str = await info.context.sounds.load(self.number)
        return told * times

    @strawberry.field
    async def mother(self, info: strawberry.Info[Any, None]) -> "Animal | None":
        return None if self.number > 20 else Animal(number=await info.context.mothers.load(self.number))

    @strawberry.field
    def rank(self, info: strawberry.Info[Any, None], wish: Wish) -> str:
        return f"{info.context.word} {wish.colour} {wish.sizes}"

    async def waited_for(self) -> str:
        return f"resolved, {self.number}"

    read = strawberry.field(resolver=waited_for, metadata={READER: lambda _: "read"})

    @strawberry.field
    async def lost(self) -> str:
        return None  # type: ignore[return-value]  # as a faulty resolver may

    @strawberry.field
    async def broken(self) -> str | None:
        raise LookupError("broken")

    @strawberry.field
    async def broken_late(self, info: strawberry.Info[Any, None]) -> str | None:
        await info.context.waits.wait()
        raise LookupError("broken")

    @strawberry.field
    async def patient(self, info: strawberry.Info[Any, None]) -> str:
        info.context.waits.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.001 * self.number)  # as whoever gives a connection back, not all at the same time
            info.context.ended.append(self.number)
        return "patient"


@strawberry.type
class Stone(Named):
    weight: int = 5


@strawberry.type
class Secret(Named):
    @strawberry.field
    def name(self) -> str:
        return "a secret"


Thing = Annotated[Animal | Stone, strawberry.union("Thing")]


@strawberry.type
class Query:
    @strawberry.field
    async def animals(self, numbers: list[int], at_most: int = 10) -> list[Animal]:
        return [Animal(number=each) for each in numbers][:at_most]

    @strawberry.field
    def word(self, info: strawberry.Info[Any, None]) -> str:
        word: str = info.context.word
        return word

    @strawberry.field
    def named(self, kinds: list[str]) -> list[Named | None]:
        made = {"animal": Animal(), "stone": Stone(), "secret": Secret()}
        return [made.get(kind) for kind in kinds]

    @strawberry.field
    def any(self, kind: str) -> Thing:
        return Stone() if kind == "stone" else Animal(number=7)

    @strawberry.field
    def root(self, root: Any) -> str:
        return str(root)


@strawberry.type
class Mutation:
    @strawberry.mutation
    def change(self) -> int:
        return 1


SCHEMA: Final = strawberry.Schema(Query, Mutation, types=[Animal, Stone, Secret])


def context() -> SimpleNamespace:
    """What resolvers use, and how many keys were read at once."""
    batches: dict[str, list[int]] = {"sounds": [], "mothers": []}

    async def sounds(keys: Iterable[int]) -> list[str]:
        batches["sounds"].append(len(found := [f"moo {key} " for key in keys]))
        return found

    async def mothers(keys: Iterable[int]) -> list[int]:
        batches["mothers"].append(len(found := [key + 10 for key in keys]))
        return found

    loaders = {"sounds": DataLoader(sounds), "mothers": DataLoader(mothers)}
    return SimpleNamespace(**loaders, word="please", batches=batches, waits=asyncio.Event(), ended=[])


def compiled(query: str, name: str | None = None) -> CompiledOperation[ResolvingPlan]:
    document = parse(query)
    assert validate(SCHEMA._schema, document) == []  # noqa: SLF001  # it has no other way to its types
    return compile_with_resolvers(SCHEMA, document, name)


def answered(query: str, variables: dict[str, Any]) -> tuple[Any, SimpleNamespace]:
    """What a compiled operation answers, and the context that it was asked in."""

    async def run() -> tuple[Any, SimpleNamespace]:
        info = SimpleNamespace(context=context())
        return await compiled(query).plan(variables).run(variables, info), info.context

    return asyncio.run(run())


def executed(query: str, variables: dict[str, Any]) -> tuple[Any, SimpleNamespace]:
    async def run() -> tuple[Any, SimpleNamespace]:
        own = context()
        result = await SCHEMA.execute(query, variables, context_value=own)
        assert result.errors is None
        return result.data, own

    return asyncio.run(run())


ANSWERED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "nothing that waits": ("{ word __typename }", {}),
    "lists of what waits": ("{ animals(numbers: [1, 2]) { number sound } }", {}),
    "fields that wait at the same time": (
        "{ animals(numbers: [1, 2, 3]) { sound mother { sound(times: 2) mother { number } } name } }",
        {},
    ),
    "roots that wait at the same time": ("{ a: animals(numbers: 1) { sound } b: animals(numbers: 2) { sound } }", {}),
    "arguments at all levels": (
        """query ($n: [Int!]!, $t: Int = 3, $c: String!) { animals(numbers: $n) { sound(times: $t)
        a: rank(wish: {colour: $c, sizes: [1, 2]}) b: rank(wish: {colour: "blue"}) } }""",
        {"n": [1, 2], "c": "green"},
    ),
    "a condition": (
        "query ($c: Boolean!) { animals(numbers: 1) { sound @skip(if: $c) mother @include(if: $c) { number } } }",
        {"c": True},
    ),
    "null in place of what waits": ("{ animals(numbers: [20, 30]) { mother { sound } } }", {}),
    "a field with a reader": ("{ animals(numbers: 1) { read } }", {}),
    "objects of several types": (
        """{ named(kinds: ["animal", "none", "stone", "secret"]) {
        __typename name ... on Animal { sound number } ... on Stone { weight } } }""",
        {},
    ),
    "unions": (
        """query ($k: String!) { any(kind: $k) { ... on Animal { mother { sound } } ... on Stone { weight } }
        b: any(kind: "stone") { __typename ... on Named { name } } }""",
        {"k": "animal"},
    ),
    "an empty list": ("{ animals(numbers: []) { sound mother { sound } } }", {}),
    "fragments": (
        """{ animals(numbers: 1) { ...A ...B } } fragment A on Animal { sound mother { number } }
        fragment B on Named { name ... on Animal { mother { sound } } }""",
        {},
    ),
}


@pytest.mark.parametrize("case", ANSWERED)
def test_operation__that_calls_resolvers__answers_what_an_executor_does_and_reads_as_often(case: str) -> None:
    query, variables = ANSWERED[case]
    (found, ours), (expected, theirs) = answered(query, variables), executed(query, variables)
    assert found == expected
    assert list(found) == list(expected)
    assert ours.batches == theirs.batches


UNCOMPILABLE: Final = {
    "several mutations": "mutation { change again: change }",
    "nothing of a mutation": "mutation { __typename }",
    "the schema": "{ __schema { description } }",
    "a resolver that takes something else": "{ root }",
}


@pytest.mark.parametrize("case", UNCOMPILABLE)
def test_operation__that_takes_an_executor__bails_out(case: str) -> None:
    with pytest.raises(Bail):
        compiled(UNCOMPILABLE[case])


def test_mutation__of_one_field__is_compiled_and_says_that_it_is_one() -> None:
    query = "mutation { change ... on Mutation { change } }"
    plan = compiled(query).plan({})
    assert (plan.kind, plan.fields) == ("mutation", ("change",))
    assert answered(query, {})[0] == {"change": 1}


WRONG: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "a null that may not be": ("{ animals(numbers: 1) { lost } }", {}),
    "a resolver that fails": ("{ animals(numbers: 1) { broken } }", {}),
    "one that fails beside others": ("{ animals(numbers: [1, 2]) { broken sound mother { number } } }", {}),
    "a number out of range": ("{ animals(numbers: [1, 2]) { sound(times: 99999999999) } }", {}),
    "a value of another type": ("query ($n: [Int!]!) { animals(numbers: $n) { sound } }", {"n": ["x"]}),
}


@pytest.mark.parametrize("case", WRONG)
def test_operation__that_is_an_error__raises(case: str) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever it is, the executor comes upon it as well
        answered(*WRONG[case])


def test_operation__of_which_one_part_fails__leaves_nothing_running() -> None:
    async def run() -> tuple[set[Any], int]:
        info = SimpleNamespace(context=context())
        operation = compiled("{ animals(numbers: [1, 2]) { patient broken mother { sound } } }")
        this: Any = asyncio.current_task()
        with pytest.raises(LookupError, match="broken"):
            await operation.plan({}).run({}, info)
        return asyncio.all_tasks() - {this}, this.cancelling()  # which a timeout around it would take for its own

    assert asyncio.run(run()) == (set(), 0)


def test_operation__of_which_one_part_fails__lets_what_is_within_others_end_in_order() -> None:
    async def run() -> list[int]:
        info = SimpleNamespace(context=context())
        operation = compiled("{ animals(numbers: [1, 2]) { mother { a: patient b: patient sound } brokenLate } }")
        with pytest.raises(LookupError, match="broken"):
            await operation.plan({}).run({}, info)
        ended: list[int] = info.context.ended
        return sorted(ended)

    assert asyncio.run(run()) == [11, 11, 12, 12]


def test_operation__that_is_given_up__ends_what_it_waits_for() -> None:
    async def run() -> list[int]:
        info = SimpleNamespace(context=context())
        plan = compiled("{ animals(numbers: [1, 2]) { patient sound } }").plan({})
        running = asyncio.ensure_future(plan.run({}, info))
        await info.context.waits.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return sorted(info.context.ended)

    assert asyncio.run(run()) == [1, 2]
