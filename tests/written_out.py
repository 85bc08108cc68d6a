"""Documents as the limits have to see them, the slow way: with every fragment written out, wherever it is spread."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    Node,
    NullValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

from api.schema.counting import Counts
from api.schema.limits import QueryLimits

# The contract's: what answers a page, and what answers one thing for each of a list.
PAGES: Final = frozenset(
    {"auditEntries", "beads", "changedBeads", "overrideSets", "revisions", "signals", "towns", "versions"}
)
LISTS: Final = {"resolutions": "beadIds"}

ANY: Final = 10**100
BOUNDLESS: Final = QueryLimits(
    tokens=ANY,
    operations=ANY,
    fragments=ANY,
    depth=ANY,
    root_fields=ANY,
    fields=ANY,
    aliases=ANY,
    directives=ANY,
    cost=ANY,
    body_bytes=ANY,
)

Definition = OperationDefinitionNode | FragmentDefinitionNode
Fragments = Mapping[str, FragmentDefinitionNode]
Values = Mapping[str, object]


@dataclass(frozen=True)
class Met:
    """A field met by walking the document with every fragment written out, or a directive on the way."""

    depth: int = 0
    introspecting: bool = False
    times: int = 0
    aliased: bool = False
    directives: int = 0
    introspects: bool = False


def fragments_of(document: DocumentNode) -> Fragments:
    return {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}


def counts_of(definition: Definition, fragments: Fragments, values: Values) -> Counts:
    """What a definition has, with all that it spreads, which must not go round in a circle."""
    about_schema = isinstance(definition, FragmentDefinitionNode) and definition.type_condition.name.value[:2] == "__"
    met = list(_walk(definition.selection_set, fragments, values, introspecting=about_schema))
    fields = [each for each in met if each.depth]
    declared = definition.variable_definitions or ()
    return Counts(
        depth=max((each.depth for each in fields if not each.introspecting), default=0),
        whole_depth=max((each.depth for each in fields), default=0),
        root_fields=sum(each.depth == 1 for each in fields),
        fields=len(fields),
        aliases=sum(each.aliased for each in fields),
        directives=sum(len(each.directives or ()) for each in (definition, *declared))
        + sum(each.directives for each in met),
        cost=sum(each.times for each in fields),
        introspects=any(each.introspects for each in fields),
    )


def _walk(
    selections: SelectionSetNode | None,
    fragments: Fragments,
    values: Values,
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
            inner, below = each.selection_set, times * _size(each, values)
            yield from _walk(inner, fragments, values, depth=depth + 1, introspecting=inside, times=below)
            continue
        yield Met(directives=directives)
        for spread in _inner(each, fragments):
            yield from _walk(spread, fragments, values, depth=depth, introspecting=introspecting, times=times)
        if isinstance(each, FragmentSpreadNode) and each.name.value in fragments:
            yield Met(directives=len(fragments[each.name.value].directives or ()))


def _inner(each: SelectionNode, fragments: Fragments) -> list[SelectionSetNode]:
    if isinstance(each, InlineFragmentNode):
        return [each.selection_set]
    assert isinstance(each, FragmentSpreadNode)
    return [fragments[each.name.value].selection_set] if each.name.value in fragments else []


def _size(each: FieldNode, values: Values) -> int:
    """How often what stands below a field is answered."""
    name = each.name.value
    given = {argument.name.value: argument.value for argument in reversed(each.arguments or ())}
    if name in PAGES:
        size = value_of(given.get("first"), values)
        if size is None:
            return 50
        return int(size) if type(size) in {int, float} and 1 <= size <= 200 else 200  # type: ignore[operator, call-overload]
    if name in LISTS:
        listed = value_of(given.get(LISTS[name]), values)
        return min(len(listed), 1000) if isinstance(listed, list) else 1
    return 1


def value_of(node: ValueNode | None, values: Values) -> object:
    """A number, a list of whatever, null, or what a variable has; anything else is true."""
    match node:
        case None | NullValueNode():
            return None
        case VariableNode():
            return values.get(node.name.value)
        case IntValueNode():
            return int(node.value[:20])
        case ListValueNode():
            return list(node.values)
        case _:
            return True


def is_circular(fragments: Fragments) -> bool:
    """Whether fragments spread themselves, or each other in a circle."""
    spreads = {name: set(_spread(each.selection_set)) & fragments.keys() for name, each in fragments.items()}
    while free := {name for name, others in spreads.items() if not others & spreads.keys()}:
        spreads = {name: others for name, others in spreads.items() if name not in free}
    return bool(spreads)


def _spread(selections: SelectionSetNode | None) -> Iterator[str]:
    for each in selections.selections if selections else ():
        if isinstance(each, FragmentSpreadNode):
            yield each.name.value
        else:
            yield from _spread(each.selection_set)  # type: ignore[attr-defined]  # a field or an inline fragment


def watched(document: DocumentNode) -> tuple[list[int], int]:
    """A list to which each look at a selection, argument or directive of a document is added, and how many there are.

    They are in the list by their identity; nodes are frozen, and what they hold is replaced all the same.
    """
    seen: list[int] = []

    class Watched(tuple[Node, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[Node]:
            for each in super().__iter__():
                seen.append(id(each))
                yield each

    total, left = 0, list[Node](document.definitions)
    while left:
        node = left.pop()
        for name in node.keys:
            inner = getattr(node, name)
            if isinstance(inner, tuple) and name in {"selections", "arguments", "directives"}:
                total += len(inner)
                object.__setattr__(node, name, Watched(inner))
            left += [each for each in (inner if isinstance(inner, tuple) else [inner]) if isinstance(each, Node)]
    return seen, total
