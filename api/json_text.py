"""JSON as it comes and goes: read as RFC 8259 has it, in UTF-8, each key once; written as short as can be."""

import json
from collections import Counter
from contextlib import suppress
from typing import Any, Final

import orjson


class BadJsonError(ValueError):
    """What is no JSON, or says the same twice; the message says why."""


def read_json(body: bytes) -> object:
    """What a body says. Raises `BadJsonError`."""
    plain = _plain(body)
    if plain is not None:
        return plain
    try:
        text = body.decode("utf-8")
        with suppress(ValueError):  # of which more is told below
            found, end = _STRICT.raw_decode(text)
            if end == len(text):
                return found  # as most have it: with no space around it, for which looking takes as long again
        return _STRICT.decode(text)
    except UnicodeDecodeError as error:
        raise BadJsonError("The body must be UTF-8.") from error
    except RecursionError as error:
        raise BadJsonError("The body is nested too deeply.") from error
    except ValueError as error:
        raise BadJsonError(f"The body must be JSON: {error}.") from error


def encode(answer: object) -> bytes:
    """An answer as UTF-8 JSON; where it holds what has no UTF-8, or numbers of any size, as ASCII with escapes."""
    try:
        return orjson.dumps(answer)
    except TypeError:
        return json.dumps(answer, separators=(",", ":")).encode("ascii")


def _plain(body: bytes) -> dict[str, Any] | None:
    """What a body says that is an object of plain values, such objects, and lists of either kind; None for any other.

    The quick reader takes the last of keys that stand twice. There are none where there are as many colons as keys and
    text account for: whatever was dropped had a colon too. Only escapes could make up for it.
    """
    if b"\\u" in body:
        return None
    try:
        found = orjson.loads(body)
    except ValueError:
        return None
    if type(found) is not dict:
        return None
    colons = _colons(found, _DEEPEST)
    return found if colons == body.count(b":") else None


def _colons(found: dict[str, Any], deepest: int) -> int:
    """How many colons JSON has that says this without escapes; -1 where it is not plain, or nested deeper than that."""
    if not deepest:
        return -1
    colons = len(found)
    for name, value in found.items():
        kind = type(value)
        if kind is str:
            colons += value.count(":")
        elif kind is dict:
            below = _colons(value, deepest - 1)
            if below < 0:
                return -1
            colons += below
        elif kind is list:
            below = _colons_of_all(value, deepest)
            if below < 0:
                return -1
            colons += below
        elif kind not in _EXACT:
            return -1
        colons += name.count(":")
    return colons


def _colons_of_all(found: list[Any], deepest: int) -> int:
    """`_colons` of a list of text or of objects."""
    kinds = set(map(type, found))
    if kinds <= _TEXT:
        return "".join(found).count(":")
    if kinds != _OBJECT:
        return -1
    colons = 0
    for each in found:
        below = _colons(each, deepest - 1)
        if below < 0:
            return -1
        colons += below
    return colons


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name in times if times[name] > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object")
    return found


_TEXT: Final = frozenset({str})
_OBJECT: Final = frozenset({dict})
_EXACT: Final = frozenset({int, bool, type(None)})  # which both readers read alike; of integers those of 64 bits
_DEEPEST: Final = 5  # objects in objects: variables, an input, its draft, and the overrides of that
_STRICT: Final = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
