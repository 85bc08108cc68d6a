"""The counts of a document, taken in one pass, are those of the document with each fragment written out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from graphql import parse
from graphql.language import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from api.schema import build_schema
from api.schema.counting import Counts, count, sizes_of
from tests.property.strategies import THOROUGH
from tests.sizes import sized

SIZES: Final = sizes_of(build_schema()._schema)  # noqa: SLF001
FRAGMENTS: Final = 4


@dataclass(frozen=True)
class Met:
    """A field met by walking the document with every fragment written out, or a directive on the way."""

    depth: int = 0
    introspecting: bool = False
    times: int = 0
    aliased: bool = False
    directives: int = 0
    introspects: bool = False


def walk(
    selections: SelectionSetNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
    *,
    depth: int = 1,
    introspecting: bool = False,
    times: int = 1,
) -> Iterator[Met]:
    """Everything below, as often as it is there."""
    for each in selections.selections if selections else ():
        directives = len(each.directives or ())
        if isinstance(each, FieldNode):
            here = each.name.value in {"__schema", "__type"}
            yield Met(depth, introspecting, times, each.alias is not None, directives, here)
            inside = introspecting or here
            inner, below = each.selection_set, times * size(each)
            yield from walk(inner, fragments, depth=depth + 1, introspecting=inside, times=below)
            continue
        yield Met(directives=directives)
        for spread in inner_of(each, fragments):
            yield from walk(spread, fragments, depth=depth, introspecting=introspecting, times=times)
        if isinstance(each, FragmentSpreadNode) and each.name.value in fragments:
            yield Met(directives=len(fragments[each.name.value].directives or ()))


def inner_of(each: SelectionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> list[SelectionSetNode]:
    if isinstance(each, InlineFragmentNode):
        return [each.selection_set]
    assert isinstance(each, FragmentSpreadNode)
    return [fragments[each.name.value].selection_set] if each.name.value in fragments else []


def size(each: FieldNode) -> int:
    if each.name.value != "beads":
        return 1
    given = [argument.value for argument in each.arguments or ()]
    return int(given[0].value) if given and isinstance(given[0], IntValueNode) else 50


def naive(operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Counts:
    met = list(walk(operation.selection_set, fragments))
    fields = [each for each in met if each.depth]
    return Counts(
        depth=max((each.depth for each in fields if not each.introspecting), default=0),
        whole_depth=max((each.depth for each in fields), default=0),
        root_fields=sum(each.depth == 1 for each in fields),
        fields=len(fields),
        aliases=sum(each.aliased for each in fields),
        directives=len(operation.directives or ()) + sum(each.directives for each in met),
        cost=sum(each.times for each in fields),
        introspects=any(each.introspects for each in fields),
    )


def selections(first_fragment: int) -> st.SearchStrategy[str]:
    """Selections that spread no fragment before `first_fragment`, and maybe one that is not there."""
    directives = st.sampled_from(["", "", " @x", " @x @y"])
    names = st.sampled_from(["a", "b", "alias: a", "beads", "beads(first: 3)", "other: beads(first: 1)", "__typename"])
    introspection = st.sampled_from(["__schema", "__type"])
    spreads = st.sampled_from([f"...F{number}" for number in range(first_fragment, FRAGMENTS + 1)])
    leaf = st.tuples(st.one_of(names, spreads, spreads), directives).map("".join)

    def nest(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        heads = st.one_of(names, introspection, st.just("..."), st.just("... on T"))
        return st.tuples(heads, directives, some(inner)).map("".join)

    return some(st.recursive(leaf, nest, max_leaves=6))


def some(each: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(each, min_size=1, max_size=3).map(lambda parts: f" {{ {' '.join(parts)} }}")


@st.composite
def documents(draw: st.DrawFn) -> str:
    """One or two operations and a few fragments, in any order; each fragment spreads only later ones."""
    directives = st.sampled_from(["", " @x"])
    parts = [f"query Q{number}{draw(directives)}{draw(selections(0))}" for number in range(draw(st.integers(1, 2)))]
    parts += [f"fragment F{number} on T{draw(directives)}{draw(selections(number + 1))}" for number in range(FRAGMENTS)]
    return " ".join(draw(st.permutations(parts)))


@settings(THOROUGH, max_examples=sized("documents", quick=100, ci=500))
@given(documents())
def test_counts__of_any_document__are_those_of_it_with_fragments_written_out(query: str) -> None:
    document = parse(query)
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    counted = {
        definition.name.value: counts
        for definition, counts in count(document, SIZES, {})
        if isinstance(definition, OperationDefinitionNode) and definition.name
    }
    expected = {
        each.name.value: naive(each, fragments)
        for each in document.definitions
        if isinstance(each, OperationDefinitionNode) and each.name
    }
    assert counted == expected
