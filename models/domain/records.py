"""The records that entries hold as `before` and `after`: which fields they have, and of which types.

Fields are spelt as they are on the record; `docs/audit-format.md` tells what they mean.
"""

from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, NotRequired, TypedDict, TypeVar, get_args, get_origin, get_type_hints, is_typeddict

T = TypeVar("T")


class SetRecord(TypedDict):
    profile: str
    profileVersion: int
    honorBeadModels: bool
    overrides: dict[str, str]
    contentHash: str


class NextSetRecord(SetRecord):
    renewed: NotRequired[list[str]]
    revertOf: NotRequired[int]


class ProfileRecord(TypedDict):
    townId: str | None
    name: str
    title: str
    version: int
    smallModel: str
    rules: dict[str, str]
    contentHash: str


class CreatedRecord(TypedDict):
    name: str
    overrideSet: SetRecord


class ImportedRecord(CreatedRecord):
    rigs: dict[str, str]
    profile: ProfileRecord
    notes: list[str]


class RigRecord(TypedDict):
    name: str
    removed: bool


class PairRecord(TypedDict):
    model: str
    smallModel: str


class BeadRecord(TypedDict):
    type: str
    status: str
    title: str
    labels: list[str]
    role: str | None
    rigId: str | None
    model: str | None


class ModelRecord(TypedDict):
    displayName: str
    deprecated: bool
    replacedBy: str | None


class TokenRecord(TypedDict):
    actor: str
    scopes: list[str]
    towns: list[str] | None
    mayActFor: bool
    secretHash: str
    expiresAt: str | None
    revoked: bool


def shaped(value: object, shape: type[T]) -> T:
    """`value`, once it is sure that it has this shape: no field less, and none more. Raises `ValueError`."""
    if not _check_of(shape)(value):  # type: ignore[arg-type]  # a class is hashable
        raise ValueError(f"it has not the fields of a {shape.__name__}")
    return value  # type: ignore[return-value]  # as was just seen


def same(one: object, other: object) -> bool:
    """Whether two JSON values read the same. They may be equal and still not do so: 1, 1.0 and true are equal."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(item, other[name]) for name, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@cache
def _check_of(shape: Any) -> Callable[[Any], bool]:
    """What tells whether a value has the shape, made once: a long chain asks a million times."""
    if is_typeddict(shape):
        fields = {name: _check_of(field) for name, field in get_type_hints(shape).items()}
        required, known = shape.__required_keys__, fields.keys()
        return lambda value: (
            type(value) is dict
            and required <= value.keys() <= known
            and all(fields[name](item) for name, item in value.items())
        )
    checks = [_check_of(argument) for argument in get_args(shape)]
    origin = get_origin(shape)
    if origin is UnionType:
        return lambda value: any(check(value) for check in checks)
    if origin is dict:
        return lambda value: type(value) is dict and all(map(checks[1], value.values()))
    if origin is list:
        return lambda value: type(value) is list and all(map(checks[0], value))
    return lambda value: type(value) is shape
