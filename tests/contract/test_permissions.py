"""Who may do what: every cell of the table of `docs/permissions.md` is asked for, outside dev mode."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import Final

import pytest

from api.schema import build_schema
from tests.client import Api
from tests.contract.hall import GARBAGE, MUTATIONS, Hall, cells_of, open_hall
from tests.contract.operations import (
    BEAD,
    NEVER,
    NODES,
    OTHER,
    OWN,
    QUESTIONS,
    STEM,
    TOWN,
    Answer,
    Headers,
    Question,
    ask,
    global_id,
    town_id,
)
from tests.databases import Databases
from tests.permissions import FORBIDDEN, ROWS, SCOPES, YES, Row
from tests.statements import watching
from tests.tampering import faults


@pytest.fixture(scope="module")
def hall(backend: str, databases: Databases) -> Iterator[Hall]:
    url = databases.fresh(backend)
    with open_hall(url) as made:
        yield made
    assert faults(url) == {}


def allowed(*scopes: str) -> set[str]:
    """The rows that a credential for all towns may."""
    return {str(row) for row in ROWS if row.answer(scopes, bound=False) == YES}


every_row = pytest.mark.parametrize("row", ROWS, ids=str)
every_row_of_towns = pytest.mark.parametrize("row", [row for row in ROWS if row.foreign], ids=str)
PAIRS: Final = [it for it in combinations(SCOPES, 2) if allowed(*it) not in [allowed(scope) for scope in it]]


def test_table__of_the_roots_of_the_schema__has_each_field_and_no_other() -> None:
    schema = build_schema()._schema  # noqa: SLF001
    roots = [root for root in (schema.query_type, schema.mutation_type, schema.subscription_type) if root is not None]
    fields = {f"{root.name}.{name}" for root in roots for name in root.fields}
    assert {row.operation for row in ROWS if row.root in {root.name for root in roots}} == fields


def test_table__row_for_row__is_what_is_asked_for_here() -> None:
    assert {str(row) for row in ROWS} == {*QUESTIONS, *map(str, MUTATIONS)}


@every_row
def test_operation__that_the_table_refuses__is_refused_and_changes_nothing(hall: Hall, row: Row) -> None:
    refused = {cell: cell.answer(row) for cell in cells_of(row) if cell.answer(row) != YES}
    for cell in refused:
        hall.holding(cell.scope, bound=cell.bound)
    before = hall.stored()
    assert {cell: hall.ask(row, cell).verdict for cell in refused} == refused
    assert hall.stored() == before


@every_row
def test_operation__that_the_table_allows__is_answered_or_takes_effect(hall: Hall, row: Row) -> None:
    may = {cell: YES for cell in cells_of(row) if cell.answer(row) == YES}
    assert {cell: hall.ask(row, cell).verdict for cell in may} == may


@pytest.mark.parametrize("scopes", PAIRS, ids="-".join)
def test_operations__with_two_scopes__are_those_of_either(hall: Hall, scopes: tuple[str, str]) -> None:
    api = hall.holding(*scopes, bound=False)
    refused = {str(row) for row in ROWS if hall.ask_as(api, row, spoilt=True).verdict == FORBIDDEN}
    assert refused == {str(row) for row in ROWS} - allowed(scopes[0]) - allowed(scopes[1])


@pytest.mark.parametrize("token", [None, GARBAGE], ids=["no_credential", "garbage"])
def test_operation__without_a_credential__is_unauthenticated(hall: Hall, token: str | None) -> None:
    answers = [hall.ask_as(hall.api.holding(token), row) for row in ROWS]
    assert {(it.status, it.verdict) for it in answers} == {(401, "UNAUTHENTICATED")}


@pytest.mark.parametrize("scope", SCOPES)
def test_name__that_is_nearly_one_of_the_schema__is_told_to_those_who_may_introspect(hall: Hall, scope: str) -> None:
    (error,) = hall.holding(scope, bound=True).execute("{ twn { name } }")["errors"]
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert ("town" in error["message"]) == ("introspection,_suggestions" in allowed(scope))


# ---- of another's town, byte for byte what is said of one that was never made


@every_row_of_towns
def test_town__of_another__is_answered_like_one_that_was_never_made(hall: Hall, row: Row) -> None:
    for scope in row.scopes:
        api = hall.holding(scope, bound=True)
        assert hall.ask_of_another(api, row, {}) == hall.ask_of_none(api, row, {}), scope


@every_row_of_towns
def test_town__of_another__takes_the_statements_of_one_that_was_never_made(hall: Hall, row: Row) -> None:
    api = hall.holding(row.scopes[0], bound=True)
    of_another = statements(partial(hall.ask_of_another, api, row))
    of_none = statements(partial(hall.ask_of_none, api, row))
    assert of_another == of_none != []


def statements(ask_with: Callable[[Headers], Answer]) -> list[str]:
    """What is sent on account of what is asked; who asks was looked up before, and that remembered for a moment."""
    ask_with({})  # its token's first use is taken down, in a transaction of its own
    with watching() as watch:
        headers, sent = watch.request()
        ask_with(headers)
    return sorted(statement.text for statement in sent if " tokens" not in statement.text)


@pytest.mark.parametrize("kind", NODES)
def test_node__of_another_s_town__is_answered_like_one_that_was_never_made(hall: Hall, kind: str) -> None:
    question = Question(document=f'{{ node(id: "{kind} {STEM}") {{ id }} }}', shows='"id":')
    api = hall.holding("editor", "auditor", bound=True)
    own, foreign, missing = (ask(api, question, stem) for stem in (OWN, OTHER, NEVER))
    assert (own.verdict, foreign.verdict) == (YES, "null")
    assert foreign.body == missing.body


VARIANTS: Final = {
    "a bead as of a version": f'{{ resolution(beadId: "{BEAD}", asOf: {{version: 1}}) {{ model }} }}',
    "a bead as of an instant": f'{{ resolution(beadId: "{BEAD}", asOf: {{at: "2126-01-01T00:00:00Z"}}) {{ model }} }}',
    "a task as of a version": f'{{ taskResolution(townId: "{TOWN}", task: {{}}, asOf: {{version: 2}}) {{ model }} }}',
    "a task in a rig that is not there": (
        f'{{ taskResolution(townId: "{TOWN}", task: {{rigId: "nope"}}) {{ model }} }}'
    ),
    "a bead in a preview": (
        f'{{ preview(townId: "{town_id(OWN)}", draft: {{}}) {{ resolution(beadId: "{BEAD}") {{ model }} }} }}'
    ),
    "a preview of a draft that is refused": (
        f'{{ preview(townId: "{TOWN}", draft: {{profile: "nope"}}) {{ userErrors {{ code message path }} }} }}'
    ),
    "a central profile": f'{{ profile(name: "balanced", townId: "{TOWN}") {{ name }} }}',
    "a profile that is not there": f'{{ profile(name: "custom-2", townId: "{TOWN}") {{ name }} }}',
    "entries after a cursor": f'{{ auditEntries(townId: "{TOWN}", after: "nope") {{ edges {{ cursor }} }} }}',
    "a feed from beyond its end": f'subscription {{ auditFeed(townId: "{TOWN}", after: 999) {{ sequence }} }}',
}


@pytest.mark.parametrize("text", VARIANTS.values(), ids=VARIANTS)
def test_question__about_another_s_town__is_answered_like_one_about_none(hall: Hall, text: str) -> None:
    api, question = hall.holding("editor", "auditor", bound=True), Question(document=text)
    foreign, missing = (ask(api, question, stem) for stem in (OTHER, NEVER))
    assert foreign.renamed(OTHER, NEVER) == missing


@pytest.mark.parametrize("text", VARIANTS.values(), ids=VARIANTS)
def test_question__about_another_s_town__takes_the_statements_of_one_about_none(hall: Hall, text: str) -> None:
    api, question = hall.holding("editor", "auditor", bound=True), Question(document=text)
    of_another = statements(partial(ask, api, question, OTHER))
    of_none = statements(partial(ask, api, question, NEVER))
    assert of_another == of_none != []


def test_export__of_another_s_town__has_the_headers_of_one_that_was_never_made(hall: Hall) -> None:
    api = hall.holding("auditor", bound=True)
    foreign, missing = (
        api.http.get("/audit/export", params={"townId": town_id(stem)}, headers=api.credential).headers
        for stem in (OTHER, NEVER)
    )
    for headers in (foreign, missing):
        del headers["x-request-id"]
    assert foreign == missing


LISTS: Final = {
    "Query.auditEntries": f'auditEntries(townId: "{TOWN}", PAGE) {{ edges {{ cursor }} }}',
    "Town.auditEntries": f'town(townId: "{TOWN}") {{ auditEntries(PAGE) {{ edges {{ cursor }} }} }}',
    "Town.beads": f'town(townId: "{TOWN}") {{ beads(PAGE) {{ edges {{ cursor }} }} }}',
    "Town.overrideSets": f'town(townId: "{TOWN}") {{ overrideSets(PAGE) {{ edges {{ cursor }} }} }}',
    "Mayor.signals": f'town(townId: "{TOWN}") {{ mayor {{ signals(PAGE) {{ edges {{ cursor }} }} }} }}',
    "Bead.revisions": f'bead(beadId: "{BEAD}") {{ revisions(PAGE) {{ edges {{ cursor }} }} }}',
    "Profile.versions": f'profile(name: "custom", townId: "{TOWN}") {{ versions(PAGE) {{ edges {{ cursor }} }} }}',
}


def page(api: Api, name: str, stem: str, after: str | None) -> bytes:
    """The first page of a list, or what comes after a cursor."""
    arguments = "first: 1" if after is None else f'first: 1, after: "{after}"'
    question = Question(document=f"{{ {LISTS[name].replace('PAGE', arguments)} }}")
    return ask(api, question, stem).body


@pytest.mark.parametrize("name", LISTS)
def test_cursor__of_a_list_of_another_s_town__is_answered_like_one_that_was_never_made(hall: Hall, name: str) -> None:
    scopes = ("editor", "auditor")
    given = re.search(b'"cursor":"([^"]+)"', page(hall.holding(*scopes, bound=False), name, OTHER, None))
    assert given is not None
    foreign, missing = (
        page(hall.holding(*scopes, bound=True), name, OWN, cursor)
        for cursor in (given[1].decode(), global_id("0" * 12, 1))
    )
    assert b'"code":"INVALID_INPUT"' in foreign
    assert foreign == missing
