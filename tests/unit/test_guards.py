"""What each field takes: by the schema itself, and so what each scope can reach in it."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType, get_named_type

from api.schema import build_schema
from api.schema.fields import NEED, field_for, mutation, subscription
from models.domain.permissions import ANYTHING, AUDIT, Need
from models.domain.tokens import Scope
from tests.permissions import ALL, ROWS, Row

SCHEMA: Final = build_schema()._schema  # noqa: SLF001
ROOTS: Final = [it for it in (SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type) if it is not None]
FIELDS: Final = {
    f"{kind.name}.{name}": each
    for kind in SCHEMA.type_map.values()
    if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__")
    for name, each in kind.fields.items()
}
TABLE: Final[dict[str, list[Row]]] = {
    row.operation: [other for other in ROWS if other.operation == row.operation] for row in ROWS
}
CHECKED_WHEN_FOUND: Final = {"AuditEntry": AUDIT}  # what `Query.node` gives only to those who have this

# A new field that leads a dispatcher to something else has to be weighed, and put into the table where it is too much.
DISPATCHER_REACHES: Final = {
    "Actor",
    "Bead",
    "BeadResolution",
    "ConsideredRule",
    "DetectMayorChangePayload",
    "MatchedRule",
    "Mayor",
    "MayorRestartSignal",
    "MayorRestartSignalConnection",
    "MayorRestartSignalEdge",
    "ModelPair",
    "PageInfo",
    "Resolution",
    "Rig",
    "RigPayload",
    "SyncBeadsPayload",
    "Town",
    "UserError",
    "Viewer",
}


def need_of(field: str) -> Need | None:
    need: Need | None = FIELDS[field].extensions["strawberry-definition"].metadata.get(NEED)
    return need


def may(scope: Scope, field: str) -> bool:
    need = need_of(field)
    return need is None or scope in need.scopes


def given_by(scope: Scope, field: str) -> set[str]:
    """The names of the object types that a field may give."""
    kind = get_named_type(FIELDS[field].type)
    if isinstance(kind, GraphQLObjectType):
        return {kind.name}
    if not isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
        return set()
    kinds = {possible.name for possible in SCHEMA.get_possible_types(kind)}
    return {it for it in kinds if it not in CHECKED_WHEN_FOUND or scope in CHECKED_WHEN_FOUND[it].scopes}


def reached(scope: Scope) -> set[str]:
    """Every `Type.field` that a credential of that scope can ask for, below whatever it may ask for at a root."""
    found: set[str] = set()
    left = {root.name for root in ROOTS}
    seen = set(left)
    while left:
        kind = left.pop()
        fields = {field for field in FIELDS if field.startswith(f"{kind}.") and may(scope, field)}
        found |= fields
        new = {name for field in fields for name in given_by(scope, field)} - seen
        left |= new
        seen |= new
    return found


def told(rows: list[Row]) -> Need:
    """What the table says that a field takes, all cases of it taken together."""
    cells = [(scope, row.cells[scope]) for row in rows for scope in row.scopes]
    return Need(scopes=frozenset(Scope(scope) for scope, _ in cells), everywhere={cell for _, cell in cells} == {ALL})


@pytest.mark.parametrize("root", ROOTS, ids=str)
def test_root__of_the_schema__has_no_field_that_takes_nothing(root: GraphQLObjectType) -> None:
    assert [name for name in root.fields if need_of(f"{root.name}.{name}") is None] == []


def test_fields__that_take_something__take_what_the_table_says() -> None:
    taken = {field: need for field in FIELDS if (need := need_of(field)) is not None}
    assert taken == {field: told(TABLE[field]) for field in taken}


@pytest.mark.parametrize("scope", Scope)
def test_fields__that_the_table_names__are_reached_by_the_scopes_that_it_says(scope: Scope) -> None:
    named = FIELDS.keys() & TABLE.keys()
    assert reached(scope) & named == {field for field in named if any(scope in row.scopes for row in TABLE[field])}


def test_fields__that_the_table_names__are_there() -> None:
    assert {name for name in TABLE if "." in name} <= FIELDS.keys()


def test_dispatcher__from_all_that_it_may_ask__reaches_these_types_and_no_other() -> None:
    roots = {root.name for root in ROOTS}
    assert {field.partition(".")[0] for field in reached(Scope.DISPATCHER)} - roots == DISPATCHER_REACHES


def test_audit_entries__by_any_way__are_reached_by_auditors_and_admins_alone() -> None:
    reach = {scope for scope in Scope if any(field.startswith("AuditEntry.") for field in reached(scope))}
    assert reach == {Scope.AUDITOR, Scope.ADMIN}


def test_scopes__all_together__reach_every_field() -> None:
    assert set().union(*map(reached, Scope)) == FIELDS.keys()


def test_node__alone__gives_what_is_known_only_once_it_is_found() -> None:
    abstract = {
        name
        for name, field in FIELDS.items()
        if isinstance(get_named_type(field.type), GraphQLInterfaceType | GraphQLUnionType)
    }
    assert abstract == {"Query.node"}


@pytest.mark.parametrize("decorator", [field_for, mutation, subscription])
def test_guard__of_a_resolver_that_does_not_take_info__is_refused(decorator: Callable[[Need], Any]) -> None:
    def unguardable(self: object) -> int:
        raise NotImplementedError

    with pytest.raises(TypeError):
        decorator(ANYTHING)(unguardable)
