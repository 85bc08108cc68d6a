"""The records that entries hold as `before` and `after`: which fields they have, and of which types.

Fields are spelt as they are on the record; `docs/audit-format.md` tells what they mean.
"""

import json
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


def shaped(value: object, shape: type[T]) -> T:
    """`value`, once it is sure that it has this shape: no field less, and none more. Raises `ValueError`."""
    if not _fits(value, shape):
        raise ValueError(f"it has not the fields of a {shape.__name__}")
    return value  # type: ignore[return-value]  # as was just seen


def same(one: object, other: object) -> bool:
    """Whether two JSON values read the same. They may be equal and still not do so: 1, 1.0 and true are equal."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _fits(value: object, shape: Any) -> bool:
    if is_typeddict(shape):
        fields = _fields(shape)
        return (
            type(value) is dict
            and shape.__required_keys__ <= value.keys() <= fields.keys()
            and all(_fits(item, fields[name]) for name, item in value.items())
        )
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is UnionType:
        return any(_fits(value, each) for each in arguments)
    if origin is dict:
        return type(value) is dict and all(_fits(item, arguments[1]) for item in value.values())
    if origin is list:
        return type(value) is list and all(_fits(item, arguments[0]) for item in value)
    return type(value) is shape


@cache
def _fields(shape: type) -> dict[str, Any]:
    return get_type_hints(shape)
