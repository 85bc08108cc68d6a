"""Relay: global ids, and connections whose cursors are keysets bound to the very list they came from."""

import base64
import binascii
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

import strawberry

from api.schema.fields import field
from models.domain.errors import InvalidInput, Problem, refuse_if_any
from models.domain.vocabulary import MAX_PAGE, is_storable
from models.store.paging import Page, Slice
from models.store.unit import Read, Session

N = TypeVar("N")
R = TypeVar("R")
C = TypeVar("C", str, int)

Place = tuple[str, str | int]  # the mark of a list, and a key within it

DEFAULT_PAGE: Final = 50
_LIST_BYTES: Final = 6
_JSON: Final = json.JSONEncoder(separators=(",", ":"))


@strawberry.interface(description="Anything that can be fetched anew by its global id.")
class Node(ABC):
    @abstractmethod
    def node_key(self) -> tuple[str | int, ...]:
        """What tells this one from others of its type."""

    @field
    def id(self) -> strawberry.ID:
        """Opaque, and unique over all types."""
        return global_id(type(self).__name__, *self.node_key())


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


def _cursor(self: "Edge[Any]") -> str:
    return _encode([*self.place])


@strawberry.type
class Edge(Generic[N]):
    place: strawberry.Private[Place]
    cursor: str = strawberry.field(resolver=_cursor)
    node: N


@strawberry.type
class Connection(Generic[N]):
    edges: list[Edge[N]]
    page_info: PageInfo


def global_id(kind: str, *key: str | int) -> strawberry.ID:
    """An opaque id, unique over all types."""
    return strawberry.ID(_encode([kind, *key]))


def read_global_id(text: str) -> tuple[str, list[str | int]] | None:
    """The type and key behind an id that `global_id` made; None for anything else."""
    decoded = _decode(text)
    if decoded is None or len(decoded) < 2 or not isinstance(decoded[0], str):  # noqa: PLR2004  # a type and a key
        return None
    return decoded[0], decoded[1:]


async def connection(
    read: Read[Page[R]],
    page_of: Callable[[Session, Slice], Awaitable[Page[R]]],
    *,
    list_name: str,
    key: Callable[[R], C],
    key_type: type[C],
    node: Callable[[R], N],
    first: int | None,
    after: str | None,
) -> Connection[N]:
    """A page of the list that `list_name` identifies (with its filters), ordered by `key`.

    `read` is `Store.fetch` where an index leads to the page, and `Store.search` where it has to be looked for.

    Raises `Refused` with `INVALID_INPUT` for a page size out of range and for a cursor of another list.
    """
    problems: list[Problem] = []
    size = DEFAULT_PAGE if first is None else first
    if not 1 <= size <= MAX_PAGE:
        problems.append(InvalidInput(path=("first",), expected=f"from 1 to {MAX_PAGE}"))
    mark = hashlib.sha256(list_name.encode("utf-8", "surrogatepass")).digest()[:_LIST_BYTES].hex()
    begin: str | int | None = None
    if after is not None:
        begin = _read_cursor(after, mark)
        if type(begin) is not key_type:
            problems.append(InvalidInput(path=("after",), expected="a cursor that this very list gave out"))
    refuse_if_any(problems)
    page = await read(lambda session: page_of(session, Slice(first=size, after=begin)))
    edges: list[Edge[N]] = [Edge(place=(mark, key(row)), node=node(row)) for row in page.rows]
    return Connection(
        edges=edges,
        page_info=PageInfo(
            has_next_page=page.has_next,
            has_previous_page=after is not None,
            start_cursor=_cursor(edges[0]) if edges else None,
            end_cursor=_cursor(edges[-1]) if edges else None,
        ),
    )


def _read_cursor(text: str, mark: str) -> str | int | None:
    decoded = _decode(text)
    if decoded is None or len(decoded) != 2 or decoded[0] != mark:  # noqa: PLR2004  # a mark and a key
        return None
    return decoded[1]


def _encode(parts: list[str | int]) -> str:
    text = _JSON.encode(parts)
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=")


def _decode(text: str) -> list[str | int] | None:
    try:
        decoded = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(decoded, list):
        return None
    if not all(
        (type(part) is str and is_storable(part)) or (type(part) is int and abs(part) < 2**31) for part in decoded
    ):
        return None
    return decoded


def filter_name(*parts: object) -> str:
    """A list's identity, made of whatever narrows it."""
    return json.dumps([repr(part) for part in parts])
