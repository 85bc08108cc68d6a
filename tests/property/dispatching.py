"""Random documents that a dispatcher or a reader might send about beads and towns that are there, as a rule.

A dispatcher's are what operations can be compiled of over values at hand, and a little of the rest.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from graphql import GraphQLField, GraphQLInputType, get_nullable_type, is_list_type
from hypothesis import strategies as st

from api.compiler.reading import Bail, reader_of
from api.schema.at_hand import ROOTS
from api.schema.connections import global_id
from tests.property.documents import SCHEMA, Author, Post, Selectable, Word

ELSEWHERE: Final = ("", "nowhere", "*", "a b", "\0", "\N{WATER BUFFALO}")  # ids of nothing
SPOILT: Final[list[Any]] = [None, 7, 1.5, True, "", [], {}, [None], [[]], "MAYOR", {"role": "MAYOR"}, {"labels": [1]}]


class Reader(Author):
    """Writes queries of any kind."""

    def __init__(self, draw: st.DrawFn, beads: Sequence[str], towns: Sequence[str]) -> None:
        super().__init__(draw)
        nodes = [global_id(kind, each) for kind, ids in (("Town", towns), ("Bead", beads)) for each in ids]
        self._ids = {"beadId": beads, "beadIds": beads, "townId": towns, "name": ["balanced", "premium"], "id": nodes}

    def post(self) -> Post:
        names = ["Q0", "Q1"] if self._up_to(5) == 0 else ["Q0"]
        definitions = [self._operation("query", name) for name in names]
        text = self._space.join([*definitions, *(each.text for each in self._fragments)])
        name = self._one_of(names) if len(names) > 1 or self._maybe() else None
        return Post(query=text, variables=self._values, operation_name=name)

    def _fields(self, kind: Selectable, left: int) -> list[tuple[str, GraphQLField]]:
        """Seldom those that ask about the schema, which not all may."""
        found = super()._fields(kind, left)
        plain = [(name, each) for name, each in found if not name.startswith("__")]
        anything = self._up_to(19)
        return plain if plain and anything else found

    def _argument(self, name: str, kind: GraphQLInputType, uses: set[str]) -> object:
        if name not in self._ids:
            return None if name == "asOf" and self._up_to(3) else self._value(kind, uses)
        many = is_list_type(get_nullable_type(kind))
        value = [self._id(name) for _ in range(self._up_to(4))] if many else self._id(name)
        if self._up_to(3) == 0:
            return value
        variable = f"v{len(self._declared)}"
        self._declared[variable] = (f"{kind} for {name}", f"${variable}: {kind}")  # used nowhere else
        self._values[variable] = value
        uses.add(variable)
        return Word(f"${variable}")

    def _id(self, name: str) -> str:
        return self._one_of([*3 * tuple(self._ids[name]), *ELSEWHERE])


class Dispatcher(Reader):
    """Writes queries of what a dispatcher asks about."""

    def _fields(self, kind: Selectable, left: int) -> list[tuple[str, GraphQLField]]:
        """Mostly those that can be read without waiting."""
        found = Author._fields(self, kind, left)
        if kind is SCHEMA.query_type:
            found = [(name, each) for name, each in found if name in {*ROOTS, "__typename"}] or found
            return found if left else found[-1:]
        read = [(name, each) for name, each in found if not each.args and _is_read(name, each)]
        anything = self._up_to(19)
        return read if read and anything else found


def _is_read(name: str, definition: GraphQLField) -> bool:
    try:
        return name == "__typename" or bool(reader_of(definition))
    except Bail:
        return False


@st.composite
def asked(draw: st.DrawFn, beads: Sequence[str], towns: Sequence[str], author: type[Reader] = Dispatcher) -> Post:
    """A document that the schema takes, with values for its variables, one of which may be another than it should."""
    post = author(draw, beads, towns).post()
    if not post.variables or draw(st.integers(0, 3)):
        return post
    spoilt = draw(st.sampled_from(sorted(post.variables)))
    others = {name: value for name, value in post.variables.items() if name != spoilt}
    if draw(st.integers(0, 4)) == 0:
        return replace(post, variables=others)
    return replace(post, variables={**others, spoilt: draw(st.sampled_from(SPOILT))})
