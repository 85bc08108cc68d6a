"""The reader of JSON: whatever bytes it is given, it gives the one value that they spell, or refuses them."""

import json
import time
from types import NoneType
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.json_text import encode
from api.schema.documents import DocumentCache
from api.trusted import Texts
from api.wire import Asked, BadRequestError, operation_of, strict_json
from tests.property.strategies import THOROUGH
from tests.sizes import sized

BODIES: Final = settings(THOROUGH, max_examples=sized("bodies", quick=100, ci=1000))
LONGEST_INT: Final = 10**4000  # Python reads 4,300 digits
READ_DEEP: Final = 300
TOO_DEEP: Final = 2_000
LONGEST_ANSWER: Final = 1_100  # which quotes 80 characters of a key, each as eleven where it is odd enough
AT_ONCE_SECONDS: Final = 5  # of CPU time; comparing each key with each would take minutes

Operation = dict[str, Any]


# ---- values, and how JSON may spell them


def paired(text: str) -> str:
    """`text` as escapes spell it: a high and a low surrogate side by side are one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


texts = st.one_of(st.text(max_size=8), st.text(st.characters(exclude_categories=()), max_size=8).map(paired))
numbers = st.one_of(
    st.integers(), st.integers(-LONGEST_INT, LONGEST_INT), st.floats(allow_nan=False, allow_infinity=False)
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4))
)


@st.composite
def nested(draw: st.DrawFn) -> object:
    """A value below as many lists and objects as any client means."""
    value = draw(values)
    for is_list in draw(st.lists(st.booleans(), max_size=8)):
        for _ in range(draw(st.integers(1, READ_DEEP // 8))):
            value = [value] if is_list else {"a": value}
    return value


@st.composite
def spelled(draw: st.DrawFn) -> tuple[object, bytes]:
    """A value and JSON for it: with escapes or as it is, close together or apart."""
    value = draw(nested())
    indent = draw(st.sampled_from([None, None, 0, 1, "\t\r"]))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")]))
    try:
        return value, json.dumps(value, ensure_ascii=False, indent=indent, separators=separators).encode()
    except UnicodeEncodeError:  # half a character, which only an escape can spell
        return value, json.dumps(value, indent=indent, separators=separators).encode()


# ---- what is nearly JSON

ODD_SCALARS: Final = (
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-0", "-0.0", "9" * 4_300, "9" * 4_301),
    *("-" + "9" * 5_000, "1" * 5_000 + ".5", "0." + "3" * 5_000, r'"\ud800"', r'"\udc00\ud800"', r'"\ud83d\ude00"'),
)
NO_SCALARS: Final = (
    *("nan", "True", "None", "undefined", "nul", "truefalse", "'a'", "//a", "/*a*/1", ""),
    *("01", "-01", "1.", ".5", "+1", "-", "--1", "1e", "1e+", "0x10", "1_000", "\u0661", "1\u0660", "\uff11"),
    *(r'"\u00"', r'"\uD8zz"', r'"\x41"', r'"\"', '"\t"', '"\x00"', '"\x7f"', '"\ud800"', '"\ufffe"', '"'),
)
KEYS: Final = ('"a"', '"b"', r'"\u0061"', '""', r'"\ud800"', r'"\uD800"', '"query"', json.dumps("\U000e0001" * 100))
NO_KEYS: Final = ("a", "1", "null", "'a'", "", "[]")
SPACES: Final = ("", "", " ", "\n", "\r\n\t")
NO_SPACES: Final = ("\f", "\v", "\u00a0", "\ufeff", "\u2028", "\x00", ",", "#")
BITS: Final = (*(bytes([byte]) for byte in b'[]{}",:\\ue0-+.\x00\xff\xc0'), b"\xef\xbb\xbf", b"\xed\xa0\x80", b"null")


def odd_texts(
    scalars: st.SearchStrategy[str], keys: tuple[str, ...], spaces: tuple[str, ...]
) -> st.SearchStrategy[str]:
    """JSON made of such parts: with many keys twice, and now and then a comma too many."""
    space = st.sampled_from(spaces)
    trailing = st.sampled_from(["", "", "", "", "", "", ","])

    def bracketed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        members = st.builds("{}{}:{}{}".format, st.sampled_from(keys), space, space, inner)
        lists = st.builds(joined, st.lists(inner, max_size=3), space, trailing).map("[{}]".format)
        objects = st.builds(joined, st.lists(members, max_size=3), space, trailing).map("{{{}}}".format)
        return st.one_of(lists, objects)

    return st.builds("{}{}{}".format, space, st.recursive(scalars, bracketed, max_leaves=8), space)


def joined(parts: list[str], space: str, trailing: str) -> str:
    return f",{space}".join(parts) + trailing


plain_scalars = scalars.map(json.dumps)
nearly = odd_texts(st.one_of(plain_scalars, st.sampled_from(ODD_SCALARS)), KEYS, SPACES)
hardly = odd_texts(
    st.one_of(plain_scalars, st.sampled_from((*ODD_SCALARS, *NO_SCALARS))), KEYS + NO_KEYS, SPACES + NO_SPACES
)
whole = st.one_of(nested().map(json.dumps), nearly, nearly, hardly).map(
    lambda text: text.encode(errors="surrogatepass")
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Something like JSON in which bytes were flipped, lost, inserted, or sent twice."""
    body = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 6)))
        match draw(st.sampled_from(["flip", "lose", "insert", "twice", "cut"])):
            case "flip" if start < len(body):
                body[start] ^= 1 << draw(st.integers(0, 7))
            case "insert":
                body[start:start] = draw(st.one_of(st.sampled_from(BITS), st.binary(max_size=3)))
            case "twice":
                body[end:end] = body[start:end]
            case "cut":
                del body[start:]
            case _:
                del body[start:end]
    return bytes(body)


bodies = st.one_of(st.binary(max_size=40), whole, damaged(), st.text(max_size=20).map(str.encode))


def read(body: bytes) -> tuple[object] | None:
    """The value that was read, or None where the body was refused as any refusal has to be."""
    try:
        return (strict_json(body),)
    except BadRequestError as error:
        assert_refuses(error)
        return None


def assert_refuses(error: BadRequestError) -> None:
    """That a refusal is the caller's fault, and goes over the wire in a few words whatever it is about."""
    encoded = encode(error.answer)
    (told,) = json.loads(encoded)["errors"]
    assert (error.status, told["extensions"]) == (400, {"code": "INVALID_INPUT"})
    assert told["message"]
    assert len(encoded) < LONGEST_ANSWER


# ---- what is JSON


@BODIES
@given(spelled())
def test_strict_json__of_a_value_that_was_written__is_that_value(written: tuple[object, bytes]) -> None:
    value, body = written
    # compared as text, in which 1 and 1.0 and true differ
    assert json.dumps(strict_json(body)) == json.dumps(value)


@BODIES
@given(bodies)
@example(b"\xef\xbb\xbf{}")
@example(b"{}".decode().encode("utf-16"))
@example(b'"\xed\xa0\x80"')
@example(b'{"a": 1, "\\u0061": 1}')
@example(b"[NaN]")
@example(b"1" * 5_000)
@example(b"1e400")
def test_strict_json__of_any_bytes__gives_what_is_json_and_refuses_the_rest(body: bytes) -> None:
    """As Python's own reader judges, which lets through three things that are not JSON here."""
    spelled, odd = oracle(body)
    found = read(body)
    if spelled is None or odd:
        assert found is None
    else:
        assert found is not None
        assert json.dumps(found) == json.dumps(spelled)


def oracle(body: bytes) -> tuple[tuple[object] | None, list[str]]:
    """What Python's reader makes of a body, if anything, and what it met that it should not have taken."""
    odd: list[str] = []

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        odd.extend(name for at, (name, _) in enumerate(pairs) if name in {before for before, _ in pairs[:at]})
        return dict(pairs)

    try:
        text = body.decode("utf-8", "strict")
        json.loads(text, object_pairs_hook=members, parse_constant=odd.append)
        return (json.loads(text),), odd
    except ValueError:
        return None, odd


# ---- what is more than anybody reads

DEEP: Final = (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]"), ("[0,[", "]]"), (" [ ", " ] "))


@settings(THOROUGH, max_examples=sized("deep bodies", quick=40, ci=200))
@given(
    st.one_of(st.integers(1, READ_DEEP // 2), st.integers(TOO_DEEP, 200_000)),
    st.sampled_from(DEEP),
    st.sampled_from(["", "", "1", '"', *ODD_SCALARS]),
    st.sampled_from([0, 1, 1, 1, 2]),
)
def test_strict_json__of_deep_nesting__reads_what_is_not_too_deep_and_refuses_the_rest(
    depth: int, brackets: tuple[str, str], innermost: str, closed: int
) -> None:
    body = (brackets[0] * depth + innermost + brackets[1] * depth * closed).encode()
    found = read(body)
    if depth >= TOO_DEEP:
        assert found is None
    else:
        assert (found is None) == (oracle(body)[0] is None or bool(oracle(body)[1]))


@pytest.mark.parametrize("twice", ["first", "last"])
def test_strict_json__of_as_many_keys_as_a_body_holds_and_one_twice__is_refused_at_once(twice: str) -> None:
    keys = [f'"{number}":0' for number in range(200_000)]
    keys.insert(0 if twice == "first" else -1, keys[0 if twice == "first" else -1])
    body = f"{{{','.join(keys)}}}".encode()
    started = time.process_time()
    assert read(body) is None
    assert time.process_time() - started < AT_ONCE_SECONDS


# ---- what is an operation

KINDS: Final[dict[str, tuple[type, ...]]] = {
    "query": (str,),
    "variables": (dict, NoneType),
    "operationName": (str, NoneType),
    "extensions": (dict, NoneType),
}


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """That, or a value of any kind."""
    kinds = st.sampled_from([None, True, 0, 1.5, "", "a", [], ["a"], {}, {"a": 1}])
    return st.sampled_from([usual] * 4 + [kinds, values]).flatmap(lambda chosen: chosen)


objects = st.one_of(st.none(), st.dictionaries(texts, values, max_size=2))
operations = st.fixed_dictionaries(
    {"query": mostly(st.sampled_from(["{ labels { name } }", "{", "\x00", "\ud800", "\ufeff", "", " \n"]))},
    optional={
        "variables": mostly(objects),
        "operationName": mostly(st.one_of(st.none(), texts)),
        "extensions": mostly(objects),
        "more": values,
    },
)


def is_operation(value: object) -> bool:
    return (
        isinstance(value, dict)
        and all(type(value.get(name)) in kinds for name, kinds in KINDS.items())
        and bool(value["query"].strip())
    )


@BODIES
@given(mostly(operations))
def test_operation_of__any_value__is_the_operation_or_a_refusal(value: object) -> None:
    try:
        found = operation_of(value, Texts(DocumentCache()), weight=7)
    except BadRequestError as error:
        assert_refuses(error)
        assert not is_operation(value)
        return
    assert is_operation(value)
    assert isinstance(value, dict)
    variables, name = value.get("variables"), value.get("operationName")
    assert found == Asked(query=value["query"], variables=variables, operation_name=name, weight=7)
