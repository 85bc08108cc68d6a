"""The counts of a document, taken in one pass, are those of the document with each fragment written out."""

from functools import cache
from typing import Final

from graphql import parse
from hypothesis import given, settings
from hypothesis import strategies as st

from api.schema import build_schema
from api.schema.counting import count, sizes_of
from tests.property.strategies import THOROUGH
from tests.sizes import sized
from tests.written_out import counts_of, fragments_of

SIZES: Final = sizes_of(build_schema()._schema)  # noqa: SLF001
FRAGMENTS: Final = 4
DIRECTIVES: Final = st.sampled_from(["", " @x"])


@cache  # to make it takes longer than to draw from it
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
    parts = [f"query Q{number}{draw(DIRECTIVES)}{draw(selections(0))}" for number in range(draw(st.integers(1, 2)))]
    parts += [f"fragment F{number} on T{draw(DIRECTIVES)}{draw(selections(number + 1))}" for number in range(FRAGMENTS)]
    return " ".join(draw(st.permutations(parts)))


@settings(THOROUGH, max_examples=sized("documents", quick=100, ci=500))
@given(documents())
def test_counts__of_any_document__are_those_of_it_with_fragments_written_out(query: str) -> None:
    document = parse(query)
    counted = count(document, SIZES, {})
    assert counted == [(each, counts_of(each, fragments_of(document), {})) for each, _ in counted]
    assert len(counted) == len(document.definitions)
