"""Replay: what the entries of a chain, taken one after the other, say must be stored.

Each entry has to follow from those before it: its `before` is what they left behind, and its versions are the next.
What it tells of is handed out, for whoever holds it against the stored rows. Nothing but entries is looked at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from models.domain.audit import CENTRAL_CHAIN, TARGET_TYPES, AuditAction, Entry, TargetType
from models.domain.errors import Refused
from models.domain.mayor import ModelPair
from models.domain.records import (
    BeadRecord,
    CreatedRecord,
    ImportedRecord,
    ModelRecord,
    NextSetRecord,
    PairRecord,
    ProfileRecord,
    RigRecord,
    SetRecord,
    TokenRecord,
    same,
    shaped,
)
from models.domain.rules import RuleKey
from models.domain.told import ObservationTold, SetTold, Told, bead_told, profile_told, rules_of, set_record
from models.domain.verification import ChainBrokenError, FaultCode
from models.domain.vocabulary import OverrideSetCause

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class RigState:
    name: str
    registered_at: datetime
    removed_at: datetime | None = None

    def record(self) -> RigRecord:
        return {"name": self.name, "removed": self.removed_at is not None}


@dataclass(slots=True, kw_only=True)
class ModelState:
    record: ModelRecord
    deprecated_at: datetime | None


@dataclass(slots=True, kw_only=True)
class TokenState:
    record: TokenRecord
    created_at: datetime
    revoked_at: datetime | None = None

    @property
    def expires_at(self) -> datetime | None:
        text = self.record["expiresAt"]
        return None if text is None else datetime.fromisoformat(text)


_BEGINNINGS: Final = (AuditAction.TOWN_CREATED, AuditAction.TOWN_IMPORTED)
_CAUSES: Final = {
    AuditAction.OVERRIDE_SET_PUBLISHED: OverrideSetCause.PUBLISHED,
    AuditAction.PROFILE_SELECTED: OverrideSetCause.PROFILE_SELECTED,
    AuditAction.OVERRIDE_SET_REVERTED: OverrideSetCause.REVERTED,
    AuditAction.PROFILE_VERSION_ADOPTED: OverrideSetCause.PROFILE_UPDATED,
}
_VERSIONED: Final = {*_BEGINNINGS, *_CAUSES, AuditAction.PROFILE_VERSION_PUBLISHED}
_Step = Callable[[Entry], Sequence[Told]]


class Replay:
    """The fold over a chain. Of a part, which does not begin with the first entry, less can be checked."""

    def __init__(self, chain: str) -> None:
        self.chain = chain
        self.name = ""
        self.created_at: datetime | None = None
        self.version = 0
        self.observations = 0
        self.rigs: dict[str, RigState] = {}
        self.models: dict[str, ModelState] = {}
        self.tokens: dict[str, TokenState] = {}
        self.profiles: dict[tuple[str, str], ProfileRecord] = {}
        self._first = 0
        self._set: SetRecord | None = None
        self._observed: PairRecord | None = None
        self._forgotten: set[str] = set()
        self._steps = self._steps_of(chain)

    def apply(self, entry: Entry) -> Sequence[Told]:
        """What `entry` tells of. Raises `ChainBrokenError` with `CONTRADICTION` where it does not follow."""
        self._first = self._first or entry.sequence
        try:
            return self._step(entry)(entry)
        except (ValueError, Refused) as error:
            message = f"{entry.change.action.name} does not follow from the entries before: {error}"
            raise ChainBrokenError(FaultCode.CONTRADICTION, entry.sequence, message) from error

    def _steps_of(self, chain: str) -> Mapping[AuditAction, _Step]:
        if chain == CENTRAL_CHAIN:
            return {
                AuditAction.PROFILE_VERSION_PUBLISHED: self._profile_published,
                AuditAction.MODELS_REGISTERED: self._models_registered,
                AuditAction.MODEL_DEPRECATED: self._model_deprecated,
                AuditAction.ACTOR_FORGOTTEN: self._actor_forgotten,
                AuditAction.TOKEN_CREATED: self._token_created,
                AuditAction.TOKEN_REVOKED: self._token_revoked,
            }
        return {
            AuditAction.TOWN_CREATED: self._town_created,
            AuditAction.TOWN_IMPORTED: self._town_imported,
            AuditAction.RIG_REGISTERED: self._rig_registered,
            AuditAction.RIG_REMOVED: self._rig_removed,
            AuditAction.BEADS_SYNCED: self._beads_synced,
            AuditAction.MAYOR_OBSERVED: self._mayor_observed,
            **dict.fromkeys(_CAUSES, self._set_published),
        }

    def _step(self, entry: Entry) -> _Step:
        change = entry.change
        step = self._steps.get(change.action)
        if step is None:
            raise ValueError(f"it has no place in the chain {self.chain}")
        if self.chain != CENTRAL_CHAIN and (entry.sequence == 1) != (change.action in _BEGINNINGS):
            raise ValueError("a town's chain begins with how the town was made, and tells of it once")
        if change.action not in _VERSIONED and (change.version_before, change.version_after) != (None, None):
            raise ValueError("it makes no version")
        if change.target_type is not TARGET_TYPES[change.action] or change.target_id != _target_id(entry):
            raise ValueError("its target is not what it tells of")
        return step

    def _follows(self, before: object, known: object) -> None:
        """Hold what is said to have stood before against what the entries before left."""
        if (self._first == 1 or known is not None) and not same(before, known):
            raise ValueError("what it says stood before is not what the entries before it left")

    # ------------------------------------------------------------ a town's chain

    def _town_created(self, entry: Entry) -> Sequence[Told]:
        return [self._made(entry, shaped(entry.change.after, CreatedRecord))]

    def _town_imported(self, entry: Entry) -> Sequence[Told]:
        record = shaped(entry.change.after, ImportedRecord)
        for rig_id, name in record["rigs"].items():
            self.rigs[rig_id] = RigState(name=name, registered_at=entry.occurred_at)
        profile = profile_told(record["profile"])
        table, follows = profile.table, record["overrideSet"]
        if (profile.owner, table.name, table.version) != (self.chain, follows["profile"], 1):
            raise ValueError("the profile that came with it is not the first of the town's own, or not the town's")
        self.profiles[profile.owner, table.name] = record["profile"]
        return [profile, self._made(entry, record)]

    def _made(self, entry: Entry, record: CreatedRecord) -> SetTold:
        self.name, self.created_at = record["name"], entry.occurred_at
        return self._next_set(entry, record["overrideSet"], OverrideSetCause.TOWN_CREATED)

    def _set_published(self, entry: Entry) -> Sequence[Told]:
        after, cause = shaped(entry.change.after, NextSetRecord), _CAUSES[entry.change.action]
        renewed, revert_of = frozenset(map(RuleKey.read, after.get("renewed", ()))), after.get("revertOf")
        if self._first > 1 and self._set is None:
            self._set, self.version = set_record(entry.change.before), entry.change.version_before or 0
        if self._set is not None and not renewed and after["contentHash"] == self._set["contentHash"]:
            raise ValueError("it changed nothing")
        if (revert_of is not None) != (cause is OverrideSetCause.REVERTED):
            raise ValueError("a version is brought back by a revert, and only by one")
        if revert_of is not None and not 1 <= revert_of <= self.version:
            raise ValueError(f"there was no version {revert_of} to bring back")
        return [self._next_set(entry, after, cause, renewed=renewed, revert_of=revert_of)]

    def _next_set(
        self,
        entry: Entry,
        after: SetRecord,
        cause: OverrideSetCause,
        *,
        renewed: frozenset[RuleKey] = frozenset(),
        revert_of: int | None = None,
    ) -> SetTold:
        change = entry.change
        self._follows(change.before, self._set)
        before = None if self._set is None else self.version
        if (change.version_before, change.version_after) != (before, self.version + 1):
            raise ValueError(f"its versions are not {self.version} and the next")
        self._set = set_record({name: value for name, value in after.items() if name in SetRecord.__annotations__})
        self.version += 1
        return SetTold(
            version=self.version,
            profile=self._set["profile"],
            profile_version=self._set["profileVersion"],
            honor_bead_models=self._set["honorBeadModels"],
            rules=rules_of(self._set["overrides"]),
            renewed=renewed,
            content_hash=self._set["contentHash"],
            cause=cause,
            revert_of=revert_of,
        )

    def _mayor_observed(self, entry: Entry) -> Sequence[Told]:
        before, after = entry.change.before, shaped(entry.change.after, PairRecord)
        self._follows(before, self._observed)
        if same(before, after):
            raise ValueError("it was observed already")
        self._observed = after
        self.observations += 1
        pair = ModelPair(model=after["model"], small_model=after["smallModel"])
        return [ObservationTold(sequence=self.observations, pair=pair)]

    def _rig_registered(self, entry: Entry) -> Sequence[Told]:
        before, after = entry.change.before, shaped(entry.change.after, RigRecord)
        if after["removed"] or (before is not None and not shaped(before, RigRecord)["removed"]):
            raise ValueError("only a rig that is not there can be registered")
        self._rig_becomes(entry, after)
        return []

    def _rig_removed(self, entry: Entry) -> Sequence[Told]:
        before, after = shaped(entry.change.before, RigRecord), shaped(entry.change.after, RigRecord)
        if before["removed"] or not same(after, {**before, "removed": True}):
            raise ValueError("only a rig that is there can be removed")
        self._rig_becomes(entry, after)
        return []

    def _rig_becomes(self, entry: Entry, after: RigRecord) -> None:
        rig_id, at = entry.change.target_id, entry.occurred_at
        known = self.rigs.get(rig_id)
        self._follows(entry.change.before, None if known is None else known.record())
        self.rigs[rig_id] = RigState(
            name=after["name"],
            registered_at=at if known is None else known.registered_at,
            removed_at=at if after["removed"] else None,
        )

    def _beads_synced(self, entry: Entry) -> Sequence[Told]:
        before = shaped(entry.change.before, dict[str, BeadRecord | None])
        after = shaped(entry.change.after, dict[str, BeadRecord])
        return [bead_told(bead_id, was, record) for bead_id, was, record in _changes(before, after)]

    # ------------------------------------------------------------ the central chain

    def _profile_published(self, entry: Entry) -> Sequence[Told]:
        change = entry.change
        record = shaped(change.after, ProfileRecord)
        before = None if change.before is None else shaped(change.before, ProfileRecord)
        told, was = profile_told(record), None if before is None else profile_told(before)
        key = (told.owner, told.table.name)
        known = self.profiles.get(key)
        if known is None and told.owner != CENTRAL_CHAIN:
            known = before  # what came with an import is told of by the town's own chain
        self._follows(before, known)
        if was is not None and (was.owner, was.table.name) != key:
            raise ValueError("what it says stood before is another profile")
        owner, name = key
        if change.target_id != (name if owner == CENTRAL_CHAIN else f"{owner}/{name}"):
            raise ValueError("its target is another profile")
        version = told.table.version
        if (change.version_before, change.version_after) != (version - 1, version):
            raise ValueError("its versions are not those of the profile")
        if version != (0 if was is None else was.table.version) + 1:
            raise ValueError("its version is not the next")
        self.profiles[key] = record
        return [told]

    def _models_registered(self, entry: Entry) -> Sequence[Told]:
        before = shaped(entry.change.before, dict[str, ModelRecord | None])
        after = shaped(entry.change.after, dict[str, ModelRecord])
        for model_id, was, record in _changes(before, after):
            self._model_becomes(model_id, was, record, deprecated_at=None)
        return []

    def _model_deprecated(self, entry: Entry) -> Sequence[Told]:
        model_id = entry.change.target_id
        before, after = shaped(entry.change.before, ModelRecord), shaped(entry.change.after, ModelRecord)
        if same(before, after):
            raise ValueError("it was deprecated already")
        known = self.models.get(model_id)
        at = entry.occurred_at if known is None or known.deprecated_at is None else known.deprecated_at
        self._model_becomes(model_id, before, after, deprecated_at=at)
        return []

    def _actor_forgotten(self, entry: Entry) -> Sequence[Told]:
        change = entry.change
        if not (same(change.before, {"forgotten": False}) and same(change.after, {"forgotten": True})):
            raise ValueError("it does not tell that someone is forgotten")
        if change.target_id in self._forgotten:
            raise ValueError("someone can be forgotten only once")
        self._forgotten.add(change.target_id)
        return []

    def _token_created(self, entry: Entry) -> Sequence[Told]:
        change = entry.change
        after = shaped(change.after, TokenRecord)
        if change.before is not None or after["revoked"] or change.target_id in self.tokens:
            raise ValueError("only a token that was not there can be made")
        self.tokens[change.target_id] = TokenState(record=after, created_at=entry.occurred_at)
        return []

    def _token_revoked(self, entry: Entry) -> Sequence[Told]:
        change = entry.change
        before, after = shaped(change.before, TokenRecord), shaped(change.after, TokenRecord)
        if before["revoked"] or not same(after, {**before, "revoked": True}):
            raise ValueError("only a token that is not revoked can be")
        known = self.tokens.get(change.target_id)
        self._follows(before, None if known is None else known.record)
        created_at = entry.occurred_at if known is None else known.created_at
        self.tokens[change.target_id] = TokenState(record=after, created_at=created_at, revoked_at=entry.occurred_at)
        return []

    def _model_becomes(
        self, model_id: str, before: ModelRecord | None, after: ModelRecord, *, deprecated_at: datetime | None
    ) -> None:
        known = self.models.get(model_id)
        self._follows(before, None if known is None else known.record)
        if after["deprecated"] is not (deprecated_at is not None) or (after["replacedBy"] and deprecated_at is None):
            raise ValueError(f"the model {model_id!r} says the contrary")
        self.models[model_id] = ModelState(record=after, deprecated_at=deprecated_at)


def _target_id(entry: Entry) -> str:
    """The id of the entry's target, as far as it follows from the rest of the entry."""
    match entry.change.target_type:
        case TargetType.TOWN | TargetType.BEADS | TargetType.MAYOR:
            return entry.chain
        case TargetType.OVERRIDE_SET:
            return str(entry.change.version_after)
        case TargetType.MODELS:
            return "catalogue"
        case _:
            return entry.change.target_id


def _changes(before: Mapping[str, T | None], after: Mapping[str, T]) -> Iterator[tuple[str, T | None, T]]:
    """What each of several things was and is."""
    if not after or before.keys() != after.keys():
        raise ValueError("before and after tell of different things, or of nothing")
    for name, record in after.items():
        if same(before[name], record):
            raise ValueError(f"{name!r} did not change")
        yield name, before[name], record
