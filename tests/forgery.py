"""Every way to change a single thing in an entry, and how far a forger goes to hide it."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from models.domain.audit import GENESIS, entry_hash, instant_text
from models.domain.canonical import canonical_bytes
from tests.histories import Fields, Link, fields_of

Alteration = tuple[str, Any]  # where something was changed, and the whole with it changed
_ODD: Final[tuple[object, ...]] = (None, True, 7, "odd", {})


def alterations(value: object, path: str = "") -> Iterator[Alteration]:
    """`value` with one thing changed: other values of every type, parts taken away, parts added."""
    yield from ((path, odd) for odd in _others(value))
    if isinstance(value, dict):
        yield f"{path}+", {**value, "added": 1}
        for name, item in value.items():
            yield f"{path}.{name}-", {other: value[other] for other in value if other != name}
            yield from ((where, {**value, name: altered}) for where, altered in alterations(item, f"{path}.{name}"))
    elif isinstance(value, list):
        yield f"{path}+", [*value, "added"]
        for index, item in enumerate(value):
            yield f"{path}[{index}]-", [*value[:index], *value[index + 1 :]]
            for where, altered in alterations(item, f"{path}[{index}]"):
                yield where, [*value[:index], altered, *value[index + 1 :]]


def entry_alterations(link: Link) -> Iterator[tuple[str, Fields]]:
    """The entry's fields with one thing changed, anywhere in them."""
    for path, altered in alterations(fields_of(link)):
        if isinstance(altered, dict) and altered:
            yield path.removeprefix("."), altered


def _others(value: object) -> Iterator[object]:
    """Other values in the place of this one: of its own type, near to it, and of each other type."""
    if isinstance(value, bool):
        yield from (not value, int(value))
    elif isinstance(value, int):
        yield from (value - 1, value + 1, str(value))
        if value in {0, 1}:
            yield bool(value)
    elif isinstance(value, str):
        yield from (_later(value), f"{value}x")
    yield from (odd for odd in _ODD if type(odd) is not type(value))


def _later(text: str) -> str:
    """A time a microsecond later; other texts with another letter in front."""
    try:
        return instant_text(datetime.fromisoformat(text) + timedelta(microseconds=1))
    except ValueError:
        return f"b{text}"


def with_entry(links: Sequence[Link], index: int, altered: Fields, *, rehashed: bool) -> list[Link]:
    """The links with other fields at `index`, and there with the old hash or the right one."""
    canonical = canonical_bytes(altered)
    return [
        *links[:index],
        (canonical, _hash(altered, canonical) if rehashed else links[index][1]),
        *links[index + 1 :],
    ]


def _hash(altered: Fields, canonical: bytes) -> str:
    try:
        return entry_hash(altered["previousHash"], canonical)
    except (KeyError, TypeError, ValueError):
        return entry_hash(GENESIS, canonical)
