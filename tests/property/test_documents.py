"""Any document at all, through the real door and up to the database, which is not there: each gets a typed answer."""

from collections import Counter
from dataclasses import asdict, replace
from typing import Final

from graphql import GraphQLError, parse, validate
from graphql.language import DocumentNode, OperationDefinitionNode, OperationType
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.schema.counting import sizes_of
from api.schema.limits import QueryLimits, refusal
from api.settings import Settings
from api.wiring import query_limits
from models.domain.errors import Code
from tests.client import Json
from tests.property.documents import SCHEMA, Post, valid
from tests.property.door import answers
from tests.property.spoilt import others
from tests.property.strategies import THOROUGH
from tests.sizes import sized
from tests.written_out import BOUNDLESS, Definition, counts_of, fragments_of, is_circular, value_of, watched

PATIENT: Final = settings(THOROUGH, suppress_health_check=[HealthCheck.too_slow])  # the machine has more to do
FUZZED: Final = settings(PATIENT, max_examples=sized("fuzzed documents", quick=60, ci=300))
AS_SET: Final = query_limits(Settings())
INTROSPECTION_DEPTH: Final = 20
EVENT_STREAM: Final = "text/event-stream"
PARSE, INVALID, INPUT = "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "INVALID_INPUT"
LIMIT, STREAM, UNAVAILABLE = "QUERY_LIMIT", "NEEDS_STREAM", "STORAGE_UNAVAILABLE"
KNOWN: Final = {PARSE, INVALID, INPUT, LIMIT, STREAM, UNAVAILABLE, *map(str, Code)}


def answer(post: Post, limits: QueryLimits) -> Json:
    (found,) = answers(post, limits)
    return found


def codes(found: Json) -> list[str]:
    """The codes of an answer's errors, of which each has to have a known one, and a message."""
    assert found.keys() <= {"data", "errors"}
    errors = found.get("errors", [])
    assert all(error["message"] for error in errors)
    told = [error["extensions"]["code"] for error in errors]
    assert set(told) <= KNOWN
    return told


# ---- what should come of a document


def parsed(post: Post, limits: QueryLimits = BOUNDLESS) -> DocumentNode | None:
    """The document, where it is one of no more words than allowed."""
    try:
        return parse(post.query, max_tokens=limits.tokens)
    except GraphQLError:
        return None


def operations_of(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]


def chosen_of(document: DocumentNode, post: Post) -> OperationDefinitionNode | None:
    """The operation by the name that is given; the first one without, which is not run where there are others."""
    for each in operations_of(document):
        if post.operation_name is None or (each.name and each.name.value == post.operation_name):
            return each
    return None


def held(document: DocumentNode, post: Post) -> dict[str, int]:
    """How much a document has of what is limited, by the limit, as it is when each fragment is written out."""
    fragments, operations, chosen = fragments_of(document), operations_of(document), chosen_of(document, post)
    declared = () if chosen is None else chosen.variable_definitions or ()
    defaults = {each.variable.name.value: value_of(each.default_value, {}) for each in declared if each.default_value}
    definitions = [each for each in document.definitions if isinstance(each, Definition)]
    if chosen is not None and chosen.name is None and len(operations) > 1:
        chosen = None  # nothing says that it is the one to run
    has = Counter(operations=len(operations), fragments=len(definitions) - len(operations))
    for each in [] if is_circular(fragments) else definitions:
        counts = counts_of(each, fragments, defaults | post.variables)
        has |= Counter(
            {
                "depth": counts.depth,
                "introspection depth": counts.whole_depth,
                "root fields": counts.root_fields if isinstance(each, OperationDefinitionNode) else 0,
                "fields": counts.fields,
                "aliases": counts.aliases,
                "directives": counts.directives,
                "cost": counts.cost if each is chosen else 0,
            }
        )
    return dict(has)


def exceeded(document: DocumentNode, limits: QueryLimits, post: Post) -> dict[str, int]:
    """The limits that a document is over, and what each allows."""
    allowed = {name.replace("_", " "): value for name, value in asdict(limits).items()}
    allowed["introspection depth"] = max(limits.depth, INTROSPECTION_DEPTH)
    return {name: allowed[name] for name, has in held(document, post).items() if has > allowed[name]}


def problems(document: DocumentNode) -> set[str]:
    """The codes of what the library has against a valid document, which may be that it has a number it can't read."""
    try:
        return {INVALID, INPUT} if validate(SCHEMA, document) else set()
    except ValueError:
        return {INPUT}


def expected(post: Post, limits: QueryLimits) -> set[str] | None:
    """Of which codes an answer must have some and no other; None where there is nothing to hinder the operation."""
    document = parsed(post, limits)
    if document is None:
        return {PARSE} if post.query.strip() else {INPUT}
    if exceeded(document, limits, post):
        return {LIMIT}
    if is_circular(fragments_of(document)):
        return {INVALID}
    chosen = chosen_of(document, post)
    if chosen is None or chosen.operation is OperationType.SUBSCRIPTION:
        return {INPUT} if chosen is None else {STREAM}
    ambiguous = post.operation_name is None and len(operations_of(document)) > 1
    return problems(document) or ({INPUT} if ambiguous else None)


def refused(document: DocumentNode, limits: QueryLimits, post: Post) -> GraphQLError | None:
    """What the limits alone say; an operation that is not named is the first one."""
    first = operations_of(document)[:1]
    name = first[0].name.value if post.operation_name is None and first and first[0].name else post.operation_name
    return refusal(document, limits, sizes_of(SCHEMA), name, post.variables)


SMALL: Final = {
    "tokens": st.integers(1, 150),
    "operations": st.integers(1, 3),
    "fragments": st.integers(0, 3),
    "depth": st.integers(1, 6),
    "root_fields": st.integers(1, 4),
    "fields": st.integers(1, 20),
    "aliases": st.integers(0, 5),
    "directives": st.integers(0, 3),
    "cost": st.integers(1, 200),
}
small = st.fixed_dictionaries({}, optional=SMALL).map(lambda chosen: replace(BOUNDLESS, **chosen))
one_small = st.sampled_from(list(SMALL)).flatmap(
    lambda name: SMALL[name].map(lambda allowed: replace(BOUNDLESS, **{name: allowed}))
)
AS_OF: Final = 'fragment F on Query { resolution(beadId: "b", asOf: {version: $v}) { model } }'
PAGES: Final = """query ($n: Int = 3, $b: [ID!]!) {
    towns(first: $n) { edges { cursor } }
    resolutions(beadIds: $b) { beadId }
}"""
limits = st.one_of(st.just(AS_SET), one_small, small)
posts = st.one_of(valid(), others)


# ---- what comes of it


@settings(PATIENT, max_examples=sized("valid documents", quick=30, ci=300))
@given(valid())
def test_document__that_is_valid_and_under_the_limits__is_executed(post: Post) -> None:
    document = parsed(post)
    assert document is not None
    assert validate(SCHEMA, document) == []
    reason = expected(post, AS_SET)
    assert reason in ({LIMIT}, {STREAM}, None)
    assert ("data" in answer(post, AS_SET)) == (reason is None)


@FUZZED
@given(posts, limits)
@example(Post(query=f"{AS_OF} query ($v: Int!) {{ ...F }}", variables={"v": 1}), BOUNDLESS)
@example(Post(query=f"query ($v: Int!) {{ ...F }} {AS_OF}", variables={"v": 1}), BOUNDLESS)
@example(Post(query=f"query ($v: Int) {{ ...F }} {AS_OF}", variables={"v": 1}), BOUNDLESS)
@example(Post(query=f"{{ ...F }} {AS_OF}", variables={"v": 1}), BOUNDLESS)
@example(
    Post(
        query=f"query A($v: Int!) {{ ...F }} query B {{ __typename }} {AS_OF}", variables={"v": 1}, operation_name="A"
    ),
    BOUNDLESS,
)
@example(Post(query=f'{{ profile(name: "b") {{ version(number: {"9" * 5_000}) {{ id }} }} }}'), BOUNDLESS)
def test_document__of_any_kind__is_executed_or_refused_for_what_is_wrong_with_it(
    post: Post, allowed: QueryLimits
) -> None:
    found = answer(post, allowed)
    told, reason = codes(found), expected(post, allowed)
    if reason is not None:
        assert "data" not in found
        assert told
        assert set(told) <= reason
    elif "data" not in found:
        assert set(told) == {INPUT}  # a variable that is not of its type
    else:
        assert not {PARSE, INVALID, LIMIT, STREAM} & set(told)
    if reason == {LIMIT}:
        assert_names_a_limit(found, post, allowed)


def assert_names_a_limit(found: Json, post: Post, allowed: QueryLimits) -> None:
    """That the one error tells of a limit that the document is really over, and what it allows."""
    (error,) = found["errors"]
    document = parsed(post)
    assert document is not None
    assert (error["extensions"]["limit"], error["extensions"]["allowed"]) in exceeded(document, allowed, post).items()


@FUZZED
@given(posts)
@example(Post(query=PAGES, variables={"b": ["x", "y"]}))
@example(Post(query=PAGES, variables={"b": ["x"], "n": 7}))
@example(Post(query=PAGES, variables={"b": [], "n": None}))
def test_limits__of_just_what_a_document_has__take_it_and_any_of_one_less_does_not(post: Post) -> None:
    document = parsed(post)
    if document is None or is_circular(fragments_of(document)):
        return
    has = {name.replace(" ", "_"): most for name, most in held(document, post).items() if name != "introspection depth"}
    just_so = [replace(BOUNDLESS, **has), *(replace(BOUNDLESS, **{name: most - 1}) for name, most in has.items())]
    for allowed in just_so:
        over = exceeded(document, allowed, post)
        error = refused(document, allowed, post)
        told = {} if error is None else error.extensions or {}
        assert (told.get("limit"), told.get("allowed")) in (over.items() or [(None, None)])


@FUZZED
@given(posts, limits)
def test_document__of_any_kind_as_a_stream__is_answered_alike_but_for_subscriptions(
    post: Post, allowed: QueryLimits
) -> None:
    found, streamed = answer(post, allowed), answers(post, allowed, EVENT_STREAM)
    if codes(found) == [STREAM]:
        assert set(codes(streamed[-1])) - {STREAM}  # where it begins, it ends for want of a database
    else:
        assert streamed == [found]


# ---- and with how much work


def chain(length: int, spreads: int, fields: int) -> Post:
    """Fragments each of which spreads the next some times, so that the last ones are there exponentially often."""
    links = (
        f"fragment F{n} on Query {{ {f'...F{n + 1} ' * spreads}{'towns(first: 2) { __typename } ' * fields}}}"
        for n in range(length)
    )
    return Post(query=f"{{ ...F0 }} {' '.join(links)} fragment F{length} on Query {{ __typename }}")


chains = st.builds(chain, st.integers(0, 40), st.integers(1, 12), st.integers(0, 3))


@FUZZED
@given(st.one_of(posts, chains), limits)
def test_limits__of_any_document__look_at_each_of_its_nodes_once_at_most(post: Post, allowed: QueryLimits) -> None:
    document = parsed(post)
    if document is not None:
        seen, total = watched(document)
        refused(document, allowed, post)
        assert len(seen) == len(set(seen)) <= total
