"""Canonical JSON bytes: the subset of RFC 8785 (JSON Canonicalization Scheme) that Townclerk's records need.

Objects with ASCII keys, arrays, strings, integers within ±(2^53 - 1), booleans and null. Within it the bytes are those
of RFC 8785; what is outside (floating-point numbers, other keys, lone surrogates) is refused, never approximated.
"""

import json
from collections.abc import Mapping
from typing import Final

Json = Mapping[str, object] | list[object] | tuple[object, ...] | str | int | bool | None

_LARGEST_INTEGER: Final = 2**53 - 1
_spelled: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def canonical_bytes(value: object) -> bytes:
    """The one spelling of `value` as UTF-8 JSON. Raises `ValueError` for what the subset does not hold."""
    return _spelled(_plain(value)).encode("utf-8")  # a lone surrogate fails here, with UnicodeEncodeError, a ValueError


def _plain(value: object) -> object:
    """`value` in the types that `json` knows. Raises `ValueError`."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        if abs(value) > _LARGEST_INTEGER:
            raise ValueError(f"{value} is too large for an integer of RFC 8785")
        return value
    if isinstance(value, (dict, Mapping)):  # dict first: it is nearly always one, and quick to tell
        for key in value:
            if not (isinstance(key, str) and key.isascii()):
                raise ValueError(f"{key!r} can't be a key: only ASCII strings can")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    raise ValueError(f"{type(value).__name__} has no canonical form here")
