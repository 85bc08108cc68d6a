"""Random documents with which something is wrong: valid ones that were spoilt, towers of fields, and plain nonsense."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hypothesis import strategies as st

from tests.property.documents import Post, json_values, valid

PARTS: Final = re.compile(r'"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*|\.\.\.|[$@]?\w+|\s+|.')
IS_THERE: Final[dict[str, Callable[[str], bool]]] = {
    "rename": lambda word: word[:1].isalpha(),
    "revalue": lambda word: word[:1] in '$"-' or word[:1].isdigit(),
}
NAMES: Final = (
    *("name", "town", "towns", "node", "edges", "labels", "__typename", "__schema", "nope", "Town", "Query", "Node"),
    *("Int", "ID", "TownConnection", "DateTime", "on", "query", "fragment", "F0", "F1", "Q0", "skip", "include"),
    *("deprecated", "oneOf", "null", "true", "MAYOR", "townId", "first", "if", "version", "asOf", "__Type"),
)
VALUES: Final = (
    *("1", "-1", "0.5", "1e400", "01", "1x", "2147483648", "9" * 5_000, "-" + "9" * 5_000, '"a"', '"\\uD800"', '"\\x"'),
    *(
        '"',
        '"""',
        '"""a',
        "[]",
        "[[[[1]]]]",
        "{}",
        "{a: {a: 1}}",
        "[$v0]",
        "$v0",
        "$v1",
        "$nope",
        "{at: $v0}",
        '{at: "x", version: 1}',
        '"2026-13-01"',
    ),
    *("[" * 250 + "]" * 250, "[" * 120 + "]" * 120, "{a: " * 120 + "1" + "}" * 120),
)
SIGNS: Final = (
    *"{}()[]:=!|&$@,#.\\?",
    "...",
    "...F0",
    "...Nope",
    "@skip(if: true)",
    "@nope",
    "@oneOf",
    "(first: 7)",
    "a: ",
    "\n",
)
ODD: Final = ("\0", "\ufeff", "\ud800", "\udc1d", "\u00a0", "\u2028", "\x7f", "\U0001f41d", "\u00e4", "\x1b", "\r")
DEFINITIONS: Final = (
    *("{ labels { name } }", "query Q0 { __typename }", "{ ...A } fragment A on Query { ...A }", "{ ...F0 ...F1 }"),
    *("fragment F0 on Query { __typename }", "fragment F0 on Town { name }", "fragment X on Nope { a }"),
    *("fragment A on Town { overrideSet { town { ...B } } } fragment B on Town { ...A }", "fragment on on Town { id }"),
    *(
        "fragment X on RuleInput { model }",
        "fragment X on __Type { fields { type { ...X } } }",
        "query ($a: Int, $a: Int)",
    ),
    *("type A { a: Int }", "extend type Query { a: Int }", "schema { query: Query }", "directive @a on FIELD", "{ }"),
    *(
        "subscription { __typename }",
        "subscription { a: auditHead b: auditHead }",
        "mutation { nope }",
        "query Q ($a: X)",
    ),
    *("{ labels { name(a: 1) } }", "{ a: labels { name } a: models { modelId } }", "query ($v: Int) { __typename }"),
    "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
)
parts = st.one_of(*map(st.sampled_from, (NAMES, VALUES, SIGNS, ODD, DEFINITIONS)), st.text(max_size=3))
anything = st.one_of(json_values, st.sampled_from([float("inf"), 10**400, "\ud800", {"\ud800": [[[]]]}, [None], "1"]))


@st.composite
def spoilt(draw: st.DrawFn) -> Post:
    """A document that was valid, in which something was changed, and maybe what comes with it."""
    post = draw(valid())
    words = PARTS.findall(post.query)
    for _ in range(draw(st.integers(0, 3))):
        words = draw(changed(words or [""]))
    names = st.sampled_from([*post.variables, "v0", "v1", "nope", "\ud800"])
    variables = post.variables | draw(st.dictionaries(names, anything, max_size=1))
    operation_name = draw(st.sampled_from([post.operation_name] * 4 + [None, "Q0", "Nope", "", "\ud800"]))
    return replace(post, query="".join(words), variables=variables, operation_name=operation_name)


CHANGES: Final = ("rename",) * 4 + ("revalue",) * 3 + ("more",) * 2 + ("lose", "twice", "insert", "cut")


@st.composite
def changed(draw: st.DrawFn, words: list[str]) -> list[str]:
    """A document's words, of which some were replaced, lost, said twice or cut off, or with more of them."""
    change = draw(st.sampled_from(CHANGES))
    start, end = sorted(draw(st.lists(st.integers(0, len(words)), min_size=2, max_size=2)))
    match change:
        case "rename" | "revalue":
            places = [number for number, word in enumerate(words) if IS_THERE[change](word)] or [0]
            start = draw(st.sampled_from(places))
            end, put = start + 1, [draw(st.sampled_from(NAMES if change == "rename" else VALUES))]
        case "lose":
            end, put = min(end, start + 5), []
        case "twice":
            put = words[start:end] * 2
        case "insert":
            end, put = start, [f" {draw(parts)} "]
        case "cut":
            end, put = len(words), []
        case _:
            start, end, put = len(words), len(words), [f" {draw(st.sampled_from(DEFINITIONS))}"]
    return words[:start] + put + words[end:]


def tower(length: int, top: str, floor: str) -> str:
    """A document whose fields stand below each other, with `floor` below them all."""
    return f"{{ {top} " + "{ town " * length + floor + " }" * length + " } fragment F0 on Town { name }"


towers = st.builds(
    tower,
    st.integers(1, 30),
    st.sampled_from(["__schema", "__type", "town", "town { a } ... "]),
    st.sampled_from(["{ a }", "{ ...F0 }", "{ __schema { a } }", ""]),
)
soup = st.lists(parts, min_size=1, max_size=12).map(" ".join)
others = st.one_of(
    spoilt(), spoilt(), spoilt(), st.one_of(towers, soup, st.text(min_size=1)).map(lambda text: Post(query=text))
)
