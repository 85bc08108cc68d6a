"""Canonical JSON bytes: the subset of RFC 8785 (JSON Canonicalization Scheme) that Townclerk's records need.

Objects with ASCII keys, arrays, strings, integers within ±(2^53 - 1), booleans and null, nested at most 100 deep. The
bytes are those of RFC 8785; what is outside (floating-point numbers, other keys, lone surrogates) is refused, never
approximated.
"""

import json
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, Final

Json = Mapping[str, object] | list[object] | tuple[object, ...] | str | int | bool | None

_LARGEST_INTEGER: Final = 2**53 - 1
_DEEPEST: Final = 100  # levels, of which a value that holds no others is one
_ANY: Final = frozenset({str, bool, NoneType})  # whose values all have a spelling


def canonical_bytes(value: object) -> bytes:
    """The one spelling of `value` as UTF-8 JSON. Raises `ValueError` for what the subset does not hold."""
    try:
        text = _spelled(value)  # first, as it finds what holds itself
    except TypeError as error:
        raise ValueError("keys that are no strings can't be sorted") from error
    _check(value)
    return text.encode("utf-8")  # a lone surrogate fails here, with UnicodeEncodeError, a ValueError


def _as_dict(value: object) -> dict[Any, Any]:
    """What `json` does not know, as what it does."""
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"{type(value).__name__} has no canonical form here")


_spelled: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_as_dict
).encode


def _check(value: object) -> None:
    """Raise `ValueError` for what `json` spells and the subset does not hold."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for each in level:
            if type(each) in _ANY or isinstance(each, str):
                continue
            if not isinstance(each, int):
                below.extend(_held_by(each))
            elif abs(each) > _LARGEST_INTEGER:
                raise ValueError(f"{each} is too large for an integer of RFC 8785")
        if not below:
            return
        level = below
    raise ValueError(f"nothing here is nested more than {_DEEPEST} deep")


def _held_by(value: object) -> Iterable[object]:
    """The values that an object or an array holds. Raises `ValueError` for what is neither, and for other keys."""
    if isinstance(value, (list, tuple)):
        return value
    if not isinstance(value, (dict, Mapping)):  # dict first: it is nearly always one, and quick to tell
        raise ValueError(f"{type(value).__name__} has no canonical form here")  # noqa: TRY004  # all are of one kind
    for key in value:
        if not (isinstance(key, str) and key.isascii()):
            raise ValueError(f"{key!r} can't be a key: only ASCII strings can")
    return value.values()
