"""Canonical JSON bytes: the subset of RFC 8785 (JSON Canonicalization Scheme) that Townclerk's records need.

Objects with ASCII keys, arrays, strings, integers within ±(2^53 - 1), booleans and null. Within it the bytes are those
of RFC 8785; what is outside (floating-point numbers, other keys, lone surrogates) is refused, never approximated.
"""

import json
from collections.abc import Mapping
from typing import Final

Json = Mapping[str, object] | list[object] | tuple[object, ...] | str | int | bool | None

_LARGEST_INTEGER: Final = 2**53 - 1


def canonical_bytes(value: object) -> bytes:
    """The one spelling of `value` as UTF-8 JSON. Raises `ValueError` for what the subset does not hold."""
    _check(value)
    text = json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def _plain(value: object) -> object:
    """`value` with its mappings as dicts, which is what `json` knows."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _check(value: object) -> None:
    if value is None or isinstance(value, (bool, str)):
        return  # a lone surrogate in a string fails the encoding, with UnicodeEncodeError, a ValueError
    if isinstance(value, int):
        if abs(value) > _LARGEST_INTEGER:
            raise ValueError(f"{value} is too large for an integer of RFC 8785")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not (isinstance(key, str) and key.isascii()):
                raise ValueError(f"{key!r} can't be a key: only ASCII strings can")
            _check(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(item)
    else:
        raise ValueError(f"{type(value).__name__} has no canonical form here")  # noqa: TRY004  # one kind of refusal
