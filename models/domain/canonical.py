"""Canonical JSON bytes: the subset of RFC 8785 (JSON Canonicalization Scheme) that Townclerk's records need.

Objects with ASCII keys, arrays, strings, integers within ±(2^53 - 1), booleans and null. Within it the bytes are those
of RFC 8785; what is outside (floating-point numbers, other keys, lone surrogates) is refused, never approximated.
"""

import json
from collections.abc import Mapping
from types import NoneType
from typing import Any, Final

Json = Mapping[str, object] | list[object] | tuple[object, ...] | str | int | bool | None

_LARGEST_INTEGER: Final = 2**53 - 1
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
    waiting: list[Any] = [value]
    for each in waiting:  # which grows meanwhile
        if type(each) in _ANY or isinstance(each, str):
            continue
        if isinstance(each, int):
            if abs(each) > _LARGEST_INTEGER:
                raise ValueError(f"{each} is too large for an integer of RFC 8785")
        elif isinstance(each, (dict, Mapping)):  # dict first: it is nearly always one, and quick to tell
            for key in each:
                if not (isinstance(key, str) and key.isascii()):
                    raise ValueError(f"{key!r} can't be a key: only ASCII strings can")
            waiting.extend(each.values())
        elif isinstance(each, (list, tuple)):
            waiting.extend(each)
        else:
            raise ValueError(f"{type(each).__name__} has no canonical form here")  # noqa: TRY004  # all are of one kind
