"""What an entry tells of, read from its records: an override set, a profile's version, an observation, a bead.

All of it raises `ValueError` or `Refused` for a record that no entry of ours can hold.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from models.domain.audit import CENTRAL_CHAIN
from models.domain.canonical import canonical_bytes
from models.domain.mayor import ModelPair
from models.domain.profiles import ProfileTable
from models.domain.records import BeadRecord, ProfileRecord, SetRecord, same, shaped
from models.domain.rules import Rule, RuleKey
from models.domain.vocabulary import MAX_VERSION, BeadStatus, BeadType, OverrideSetCause, Role, is_id, is_profile_name


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTold:
    """An override set, as far as its entry tells of it; who set which override when follows from the sets before."""

    version: int
    profile: str
    profile_version: int
    honor_bead_models: bool
    rules: tuple[Rule, ...]
    renewed: frozenset[RuleKey]
    content_hash: str
    cause: OverrideSetCause
    revert_of: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileTold:
    """A version of a profile. `owner` is a town's id or `CENTRAL_CHAIN`."""

    owner: str
    title: str
    table: ProfileTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationTold:
    sequence: int
    pair: ModelPair


@dataclass(frozen=True, slots=True, kw_only=True)
class BeadTold:
    """A bead's whole state after a sync. `revised` says whether more than its title changed."""

    bead_id: str
    record: BeadRecord
    revised: bool


Told = SetTold | ProfileTold | ObservationTold | BeadTold


def rules_of(models_by_key: Mapping[str, str]) -> tuple[Rule, ...]:
    return tuple(Rule(key=RuleKey.read(spelling), model=model) for spelling, model in models_by_key.items())


def bead_told(bead_id: str, before: BeadRecord | None, after: BeadRecord) -> BeadTold:
    known = {BeadType: after["type"], BeadStatus: after["status"], Role: after["role"]}
    if any(name is not None and name not in kind.__members__ for kind, name in known.items()):
        raise ValueError(f"no bead can be as {bead_id!r} is told to be")
    revised = before is None or not same({**before, "title": after["title"]}, after)
    return BeadTold(bead_id=bead_id, record=after, revised=revised)


def set_record(value: object) -> SetRecord:
    """An override set as it stands, whose hash is that of its content."""
    record = shaped(value, SetRecord)
    content = {name: item for name, item in record.items() if name != "contentHash"}
    if record["contentHash"] != hashlib.sha256(canonical_bytes(content)).hexdigest():
        raise ValueError("its content does not give its content hash")
    if not (is_profile_name(record["profile"]) and 1 <= record["profileVersion"] <= MAX_VERSION):
        raise ValueError("there can be no such version of a profile")
    return record


def profile_told(record: ProfileRecord) -> ProfileTold:
    table = ProfileTable(
        name=record["name"],
        version=record["version"],
        small_model=record["smallModel"],
        rules=rules_of(record["rules"]),
    )
    if record["contentHash"] != table.content_hash:
        raise ValueError("its content does not give its content hash")
    town_id = record["townId"]
    if town_id is not None and not is_id(town_id):
        raise ValueError(f"{town_id!r} can be no town")
    return ProfileTold(owner=CENTRAL_CHAIN if town_id is None else town_id, title=record["title"], table=table)
