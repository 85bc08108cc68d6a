"""Random documents that the real schema takes, with values for their variables."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeVar

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    SchemaMetaFieldDef,
    TypeMetaFieldDef,
    TypeNameMetaFieldDef,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)
from hypothesis import strategies as st

from api.schema import build_schema

SCHEMA: Final = build_schema()._schema  # noqa: SLF001
CONDITION: Final = GraphQLNonNull(GraphQLBoolean)
FIELDS_DEEP: Final = 4
INTROSPECTION_DEEP: Final = 2  # of which the library allows few, whatever the limits say

T = TypeVar("T")
Selectable = GraphQLObjectType | GraphQLInterfaceType


@dataclass(frozen=True, kw_only=True)
class Post:
    """What a client posts."""

    query: str
    variables: dict[str, Any] = field(default_factory=dict)
    operation_name: str | None = None

    @property
    def body(self) -> bytes:
        """JSON, in which a number too large to read is spelled by digits."""
        named = {"query": self.query, "variables": self.variables, "operationName": self.operation_name}
        return json.dumps(named).replace("Infinity", "1e400").encode()


# ---- values

texts = st.one_of(st.text(max_size=6), st.sampled_from(["balanced", "Town", '"""', "\\", "\0", "\U0001f41d", "# {"]))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["a", "b", "model"]), inner, max_size=2)
    ),
    max_leaves=4,
)
SCALARS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "Int": st.one_of(st.integers(-2, 250), st.just(2**31 - 1)),
    "Boolean": st.booleans(),
    "String": texts,
    "ID": st.one_of(texts, st.integers(0, 10**20)),
    "DateTime": st.datetimes().map(lambda at: f"{at.isoformat()}Z"),
    "JSON": json_values.filter(lambda value: value is not None),
}


@dataclass(frozen=True)
class Word:
    """What stands in a document as it is: a variable, or a word of a closed vocabulary."""

    text: str


def spelled(value: object, *, block: bool = False) -> str:
    """A value as a document has it, with its strings as block strings or not."""
    match value:
        case Word(text):
            return text
        case dict():
            return f"{{{', '.join(f'{name}: {spelled(inner, block=block)}' for name, inner in value.items())}}}"
        case list():
            return f"[{' '.join(spelled(each, block=block) for each in value)}]"
        case str() if block:
            end = " " if value.endswith(('"', "\\")) else ""
            return '"""{}{}"""'.format(value.replace('"""', '\\"""'), end)
        case _:
            return json.dumps(value, ensure_ascii=False)


def plain(value: object) -> object:
    """A value as JSON has it."""
    match value:
        case Word(text):
            return text
        case dict():
            return {name: plain(inner) for name, inner in value.items()}
        case list():
            return [plain(each) for each in value]
        case _:
            return value


# ---- valid documents

# Strategies are made once: making one takes longer than drawing from it.
BOOLEANS: Final = st.booleans()
KINDS: Final = st.lists(st.sampled_from(["query", "query", "mutation", "subscription"]), max_size=3)
SELECTIONS: Final = st.lists(st.sampled_from(["field", "field", "field", "inline", "spread"]), max_size=3)


@cache
def numbers_up_to(largest: int) -> st.SearchStrategy[int]:
    return st.integers(0, largest)


@dataclass(kw_only=True)
class Fragment:
    """A fragment that is written, `left` levels deep at most.

    `narrowed` where its fields have names of their own, wherever it is spread.
    """

    name: str
    kind: Selectable
    left: int
    narrowed: bool
    text: str
    uses: set[str]


class Author:
    """Writes a document. `uses` are the variables that a definition uses, with all that it spreads."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._aliases = (f"a{number}" for number in itertools.count())
        self._space = self._one_of([" ", " ", ", ", "\n  ", "\r\n\t", ' # } "\n'])
        self._block = self._maybe()
        self._fragments: list[Fragment] = []
        self._declared: dict[str, tuple[str, str]] = {}  # by the variable's name: its type, and how it is declared
        self._values: dict[str, Any] = {}

    def _up_to(self, largest: int) -> int:
        return self._draw(numbers_up_to(largest))

    def _maybe(self) -> bool:
        return self._draw(BOOLEANS)

    def _one_of(self, options: Sequence[T]) -> T:
        return options[self._up_to(len(options) - 1)]

    def post(self) -> Post:
        kinds = self._draw(KINDS)
        kinds = kinds or ["query"]
        alone = len(kinds) == 1 and self._maybe()
        definitions = [self._operation(kind, "" if alone else f"Q{number}") for number, kind in enumerate(kinds)]
        definitions += [each.text for each in self._fragments]
        text = self._space.join(self._draw(st.permutations(definitions)))
        start = self._one_of(["", "", "\ufeff", "# a comment\n"])
        name = None if len(kinds) == 1 else self._one_of([f"Q{number}" for number in range(len(kinds))])
        return Post(query=start + text, variables=self._values, operation_name=name)

    def _operation(self, kind: str, name: str) -> str:
        root, uses = getattr(SCHEMA, f"{kind}_type"), set[str]()
        if kind == "subscription":
            selections = f"{{ {self._field(root, FIELDS_DEEP, uses, directives=False)} }}"
        else:
            selections = self._selections(root, FIELDS_DEEP, uses)
        declared = ", ".join(self._declared[each][1] for each in sorted(uses))
        if kind == "query" and not name and not declared and self._maybe():
            return selections
        return f"{kind} {name}{f'({declared})' if declared else ''} {selections}"

    def _selections(self, kind: Selectable, left: int, uses: set[str], *, narrowed: bool = False) -> str:
        chosen = self._draw(SELECTIONS)
        parts = [self._selection(each, kind, left, uses, narrowed=narrowed) for each in chosen or ["field"]]
        return f"{{ {self._space.join(parts)} }}"

    def _selection(self, chosen: str, kind: Selectable, left: int, uses: set[str], *, narrowed: bool) -> str:
        if chosen == "field" or left == 0:
            return self._field(kind, left, uses, narrowed=narrowed)
        inner: Selectable = self._one_of([kind, *self._relatives(kind)])
        narrowed = narrowed or inner is not kind or isinstance(kind, GraphQLInterfaceType)
        if chosen == "inline":
            condition = "" if inner is kind and self._maybe() else f" on {inner.name}"
            selections = self._selections(inner, left - 1, uses, narrowed=narrowed)
            return f"...{condition}{self._directives(uses)} {selections}"
        fragment = self._fragment(inner, left - 1, narrowed=narrowed)
        uses |= fragment.uses
        return f"... {fragment.name}{self._directives(uses)}"

    @staticmethod
    def _relatives(kind: Selectable) -> list[Selectable]:
        if isinstance(kind, GraphQLInterfaceType):
            return list(SCHEMA.get_implementations(kind).objects)
        return list(kind.interfaces)

    def _fragment(self, kind: Selectable, left: int, *, narrowed: bool) -> Fragment:
        """One that is there already, or a new one, which can spread only those that were there before it."""
        there = [
            each for each in self._fragments if each.kind is kind and each.left <= left and each.narrowed >= narrowed
        ]
        if there and not self._maybe():
            return self._one_of(there)
        uses: set[str] = set()
        selections = self._selections(kind, left, uses, narrowed=narrowed)
        name = f"F{len(self._fragments)}"
        text = f"fragment {name} on {kind.name} {selections}"
        self._fragments.append(Fragment(name=name, kind=kind, left=left, narrowed=narrowed, text=text, uses=uses))
        return self._fragments[-1]

    def _field(
        self, kind: Selectable, left: int, uses: set[str], *, narrowed: bool = False, directives: bool = True
    ) -> str:
        name, definition = self._one_of(self._fields(kind, left))
        arguments = {}
        for argument, declared in definition.args.items():
            if is_required_argument(declared) or self._maybe():
                arguments[argument] = self._argument(argument, declared.type, uses)
        text = name
        if arguments:
            given = ", ".join(f"{each}: {spelled(value, block=self._block)}" for each, value in arguments.items())
            text = f"{name}({given})"
        # Fields of one name side by side have to be the same, with the same arguments.
        if arguments or (narrowed and name != "__typename") or self._up_to(5) == 0:
            text = f"{next(self._aliases)}: {text}"
        text += self._directives(uses) if directives else ""
        inner = get_named_type(definition.type)
        left = min(left - 1, INTROSPECTION_DEEP) if inner.name.startswith("__") else left - 1
        return f"{text} {self._selections(inner, left, uses)}" if isinstance(inner, Selectable) else text

    def _argument(self, name: str, kind: GraphQLInputType, uses: set[str]) -> object:  # noqa: ARG002  # others go by it
        """A value of a field's argument."""
        return self._value(kind, uses)

    def _fields(self, kind: Selectable, left: int) -> list[tuple[str, GraphQLField]]:
        """Those that can be asked for with so many levels left, each with its definition."""
        fields = dict(kind.fields)
        if kind is not SCHEMA.subscription_type:
            fields["__typename"] = TypeNameMetaFieldDef
        if kind is SCHEMA.query_type:
            fields |= {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}
        found = [(name, each) for name, each in fields.items() if left > 0 or is_leaf_type(get_named_type(each.type))]
        costly = [(name, each) for name, each in found if each.args.keys() & {"first", "beadIds"}]
        return found + 3 * costly  # which are few, and what the limits are about

    def _directives(self, uses: set[str]) -> str:
        found = ""
        for name in self._one_of([(), (), (), (), ("skip",), ("include",), ("include", "skip")]):
            found += f" @{name}(if: {spelled(self._value(CONDITION, uses))})"
        return found

    def _value(self, kind: GraphQLInputType, uses: set[str] | None) -> object:
        """A value of a type, with variables in it where there are `uses` to note them in."""
        if uses is not None and self._up_to(4) == 0:
            return self._variable(kind, uses)
        if not isinstance(kind, GraphQLNonNull) and self._up_to(5) == 0:
            return None
        inner: Any = get_nullable_type(kind)
        if is_list_type(inner):
            return [self._value(inner.of_type, uses) for _ in range(self._up_to(3))]
        if isinstance(inner, GraphQLEnumType):
            return Word(self._one_of(list(inner.values)))
        if isinstance(inner, GraphQLInputObjectType):
            return {name: self._value(each, uses) for name, each in self._given_fields(inner)}
        return self._draw(SCALARS[inner.name])

    def _given_fields(self, kind: GraphQLInputObjectType) -> list[tuple[str, GraphQLInputType]]:
        """Those that an input has, and of which type each has to be there."""
        fields = list(kind.fields.items())
        if kind.is_one_of:
            name, each = self._one_of(fields)
            return [(name, GraphQLNonNull(each.type))]
        chosen = [is_required_input_field(each) or self._up_to(2) == 0 for _, each in fields]
        return [(name, each.type) for (name, each), there in zip(fields, chosen, strict=True) if there]

    def _variable(self, kind: GraphQLInputType, uses: set[str]) -> Word:
        """A variable of that very type, with a value, a default, or both."""
        there = [name for name, (declared, _) in self._declared.items() if declared == str(kind)]
        name = self._one_of([f"v{len(self._declared)}", *there])
        if name not in self._declared:
            text = f"${name}: {kind}"
            if has_default := self._maybe():
                text += f" = {spelled(self._value(kind, None), block=self._block)}"
            self._declared[name] = (str(kind), text)
            if not has_default or self._maybe():
                self._values[name] = plain(self._value(kind, None))
        uses.add(name)
        return Word(f"${name}")


@st.composite
def valid(draw: st.DrawFn) -> Post:
    """A document that the schema takes, with values for its variables."""
    return Author(draw).post()
