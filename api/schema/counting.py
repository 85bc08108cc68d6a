"""What a document asks for, counted in one pass over it; fragments count wherever they are spread."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from graphlib import TopologicalSorter
from typing import Final, NamedTuple

from graphql import GraphQLSchema
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    ValueNode,
    VariableNode,
)

from api.schema.connections import DEFAULT_PAGE
from models.domain.vocabulary import MAX_BEADS, MAX_PAGE

_INTROSPECTION: Final = frozenset({"__schema", "__type"})
_MOST_DIGITS: Final = 9

Definition = OperationDefinitionNode | FragmentDefinitionNode
Size = Callable[[object], int]  # how often what stands below a field is answered, by the argument's value
Sizes = Mapping[str, tuple[str, Size]]  # by the field's name: the argument that tells, and how


@dataclass(slots=True, kw_only=True)
class Counts:
    """What a definition has, with all that it spreads.

    `depth` is in fields below each other and leaves out what stands below introspection fields; `whole_depth` does not.
    `cost` is how many fields may be answered: those below a list's page count once for each node of it. `introspects`
    says whether it asks about the schema itself.
    """

    depth: int = 0
    whole_depth: int = 0
    root_fields: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    cost: int = 0
    introspects: bool = False


class _Place(NamedTuple):
    """Where selections stand: below how many fields, whether below introspection, and how often they are answered."""

    level: int = 0
    introspecting: bool = False
    times: int = 1


@dataclass(slots=True, eq=False)
class _Part:
    """A definition by itself: its own counts, and which fragments it spreads where."""

    counts: Counts
    spreads: list[tuple[str, _Place]] = field(default_factory=list)


def count(document: DocumentNode, sizes: Sizes, values: Mapping[str, object]) -> list[tuple[Definition, Counts]]:
    """The counts of each operation and fragment, each of which is looked into once. Unknown fragments count nothing.

    `values` are those of the variables. Raises `CycleError` for fragments that spread each other in a circle.
    """
    definitions = [each for each in document.definitions if isinstance(each, Definition)]
    parts = [_part(each, sizes, values) for each in definitions]
    named = {
        each.name.value: part
        for each, part in zip(definitions, parts, strict=True)
        if isinstance(each, FragmentDefinitionNode)
    }
    order = TopologicalSorter({name: {to for to, _ in part.spreads if to in named} for name, part in named.items()})
    whole: dict[str, Counts] = {}
    for name in order.static_order():
        _expand(named[name], whole)
        whole[name] = named[name].counts
    expanded = set(named.values())
    for part in parts:
        if part not in expanded:
            _expand(part, whole)
    return [(each, part.counts) for each, part in zip(definitions, parts, strict=True)]


def _part(definition: Definition, sizes: Sizes, values: Mapping[str, object]) -> _Part:
    declared = definition.variable_definitions or ()
    directives = sum(len(each.directives or ()) for each in (definition, *declared))
    part = _Part(Counts(directives=directives))
    left = [(definition.selection_set, _Place(introspecting=_is_about_schema(definition)))]
    while left:
        selections, place = left.pop()
        for selection in selections.selections:
            part.counts.directives += len(selection.directives or ())
            if isinstance(selection, FragmentSpreadNode):
                part.spreads.append((selection.name.value, place))
            elif isinstance(selection, FieldNode):
                _add_field(part.counts, selection, place)
                if selection.selection_set is not None:
                    left.append((selection.selection_set, _below(selection, place, sizes, values)))
            else:
                left.append((selection.selection_set, place))  # type: ignore[attr-defined]  # an inline fragment
    return part


def _is_about_schema(definition: Definition) -> bool:
    """Whether it is a fragment that can stand nowhere but below introspection fields."""
    return isinstance(definition, FragmentDefinitionNode) and definition.type_condition.name.value.startswith("__")


def _add_field(counts: Counts, selection: FieldNode, place: _Place) -> None:
    """Count a field, without what stands below it."""
    counts.fields += 1
    counts.aliases += selection.alias is not None
    counts.root_fields += place.level == 0
    counts.cost += place.times
    counts.introspects |= selection.name.value in _INTROSPECTION
    _deepen(counts, place, depth=1, whole_depth=1)


def _expand(part: _Part, whole: Mapping[str, Counts]) -> None:
    """Add the fragments that a definition spreads to its own counts."""
    counts = part.counts
    for name, place in part.spreads:
        if name in whole:
            spread = whole[name]
            counts.fields += spread.fields
            counts.aliases += spread.aliases
            counts.directives += spread.directives
            counts.introspects |= spread.introspects
            counts.root_fields += spread.root_fields if place.level == 0 else 0
            counts.cost += place.times * spread.cost
            _deepen(counts, place, depth=spread.depth, whole_depth=spread.whole_depth)


def _deepen(counts: Counts, place: _Place, *, depth: int, whole_depth: int) -> None:
    counts.whole_depth = max(counts.whole_depth, place.level + whole_depth)
    if not place.introspecting:
        counts.depth = max(counts.depth, place.level + depth)


def _below(selection: FieldNode, place: _Place, sizes: Sizes, values: Mapping[str, object]) -> _Place:
    name, times = selection.name.value, place.times
    if name in sizes:
        argument, size = sizes[name]
        given = [each.value for each in selection.arguments or () if each.name.value == argument]
        times *= size(_value(given[0], values) if given else None)
    return _Place(place.level + 1, place.introspecting or name in _INTROSPECTION, times)


# ---- sizes


@lru_cache(maxsize=8)
def sizes_of(schema: GraphQLSchema) -> Sizes:
    """The fields of a schema that answer a page, or one thing for each bead that they are asked about.

    Names are enough: another field with the name of one that answers pages counts like it, without an argument.
    """
    sizes: dict[str, tuple[str, Size]] = {}
    for kind in schema.type_map.values():
        for name, each in getattr(kind, "fields", {}).items():
            arguments = getattr(each, "args", {})
            if "first" in arguments:
                sizes[name] = ("first", page_size)
            elif "beadIds" in arguments:
                sizes[name] = ("beadIds", list_size)
    return sizes


def page_size(value: object) -> int:
    """The size of a page. What can't be one is refused later, before anything is read; here it is the largest."""
    if value is None:
        return DEFAULT_PAGE
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= MAX_PAGE:
        return int(value)  # a variable 5.0 is an Int
    return MAX_PAGE


def list_size(value: object) -> int:
    """The length of a list, up to the longest that is answered; what is no list is a list of one."""
    return min(len(value), MAX_BEADS) if isinstance(value, list | tuple) else 1


def values_of(operation: OperationDefinitionNode | None, variables: Mapping[str, object]) -> dict[str, object]:
    """The values of an operation's variables, with the defaults of those that are not given."""
    declared = () if operation is None else operation.variable_definitions or ()
    defaults = {
        each.variable.name.value: _value(each.default_value, {}) for each in declared if each.default_value is not None
    }
    return {**defaults, **variables}


def _value(node: ValueNode, values: Mapping[str, object]) -> object:
    """What sizes are told by: a number, a list, null, or what a variable has. Anything else stays the node it is."""
    if isinstance(node, VariableNode):
        return values.get(node.name.value)
    if isinstance(node, IntValueNode):
        return int(node.value[:_MOST_DIGITS])  # enough to see that it is too large; Python reads no thousands of them
    if isinstance(node, ListValueNode):
        return node.values
    return None if isinstance(node, NullValueNode) else node
