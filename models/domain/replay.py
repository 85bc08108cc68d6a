"""Replay: what the entries of a chain, taken one after the other, say must be stored.

Each entry has to follow from those before it: its `before` is what they left behind, and its versions are the next.
What it tells of is handed out, for whoever holds it against the stored rows. Nothing but entries is looked at.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from models.domain.audit import CENTRAL_CHAIN, AuditAction, Entry
from models.domain.canonical import canonical_bytes
from models.domain.errors import Refused
from models.domain.mayor import ModelPair
from models.domain.profiles import ProfileTable
from models.domain.rules import Rule, RuleKey
from models.domain.verification import ChainBrokenError, FaultCode
from models.domain.vocabulary import OverrideSetCause

Record = Mapping[str, Any]


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
    record: Record
    revised: bool


Told = SetTold | ProfileTold | ObservationTold | BeadTold


@dataclass(slots=True, kw_only=True)
class RigState:
    name: str
    registered_at: datetime
    removed_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class ModelState:
    record: Record
    deprecated_at: datetime | None


_UNKNOWN: Final[Record] = {"unknown": True}  # what lies before a part of a chain
_CAUSES: Final = {
    AuditAction.OVERRIDE_SET_PUBLISHED: OverrideSetCause.PUBLISHED,
    AuditAction.PROFILE_SELECTED: OverrideSetCause.PROFILE_SELECTED,
    AuditAction.OVERRIDE_SET_REVERTED: OverrideSetCause.REVERTED,
    AuditAction.PROFILE_VERSION_ADOPTED: OverrideSetCause.PROFILE_UPDATED,
}


class Replay:
    """The fold over a chain. `whole` says that it begins with the first entry; of a part, less can be checked."""

    def __init__(self, chain: str, *, whole: bool = True) -> None:
        self.chain = chain
        self.name = ""
        self.created_at: datetime | None = None
        self.version = 0
        self.observations = 0
        self.rigs: dict[str, RigState] = {}
        self.models: dict[str, ModelState] = {}
        self.profiles: dict[tuple[str, str], Record] = {}
        self._whole = whole
        self._set: Record | None = None if whole else _UNKNOWN
        self._observed: Record | None = None if whole else _UNKNOWN
        self._steps = self._steps_of(chain)

    def apply(self, entry: Entry) -> Sequence[Told]:
        """What `entry` tells of. Raises `ChainBrokenError` with `CONTRADICTION` where it does not follow."""
        action = entry.change.action
        step = self._steps.get(action)
        try:
            if step is None:
                raise ValueError(f"{action.name} has no place in the chain {self.chain}")  # noqa: TRY301  # as all below
            if self._whole and self.chain != CENTRAL_CHAIN and (self.created_at is None) != (action in _BEGINNINGS):
                raise ValueError("a town's chain begins with how the town was made, and tells of it once")  # noqa: TRY301
            return step(entry)
        except (KeyError, TypeError, AttributeError, ValueError, Refused) as error:
            what = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else str(error)
            message = f"{action.name} does not follow from the entries before: {what}"
            raise ChainBrokenError(FaultCode.CONTRADICTION, entry.sequence, message) from error

    def _steps_of(self, chain: str) -> Mapping[AuditAction, Callable[[Entry], Sequence[Told]]]:
        if chain == CENTRAL_CHAIN:
            return {
                AuditAction.PROFILE_VERSION_PUBLISHED: self._profile_published,
                AuditAction.MODELS_REGISTERED: self._models_registered,
                AuditAction.MODEL_DEPRECATED: self._model_deprecated,
                AuditAction.ACTOR_FORGOTTEN: lambda _entry: [],  # what is left of names is no part of the record
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

    # ------------------------------------------------------------ a town's chain

    def _town_created(self, entry: Entry) -> Sequence[Told]:
        record = _after(entry)
        self.name, self.created_at = _text(record["name"]), entry.occurred_at
        return [self._next_set(entry, record["overrideSet"], OverrideSetCause.TOWN_CREATED)]

    def _town_imported(self, entry: Entry) -> Sequence[Told]:
        record = _after(entry)
        for rig_id, name in record["rigs"].items():
            self.rigs[rig_id] = RigState(name=_text(name), registered_at=entry.occurred_at)
        profile = _profile(record["profile"])
        self.profiles[profile.owner, profile.table.name] = record["profile"]
        return [profile, *self._town_created(entry)]

    def _set_published(self, entry: Entry) -> Sequence[Told]:
        _expect(entry, self._set)
        return [self._next_set(entry, _after(entry), _CAUSES[entry.change.action])]

    def _next_set(self, entry: Entry, after: Record, cause: OverrideSetCause) -> SetTold:
        change = entry.change
        if self._set is not _UNKNOWN and (change.version_before or 0) != self.version:
            raise ValueError(f"the version before was {self.version}, not {change.version_before}")
        if change.version_after is None or change.version_after != (change.version_before or 0) + 1:
            raise ValueError("its version is not the next")
        record = {name: after[name] for name in ("profile", "profileVersion", "honorBeadModels", "overrides")}
        content_hash = hashlib.sha256(canonical_bytes(record)).hexdigest()
        if after["contentHash"] != content_hash:
            raise ValueError("its content does not give its content hash")
        self.version = change.version_after
        self._set = {**record, "contentHash": content_hash}
        return SetTold(
            version=self.version,
            profile=_text(record["profile"]),
            profile_version=record["profileVersion"],
            honor_bead_models=record["honorBeadModels"],
            rules=_rules(record["overrides"]),
            renewed=frozenset(map(RuleKey.read, after.get("renewed", ()))),
            content_hash=content_hash,
            cause=cause,
            revert_of=after["revertOf"] if cause is OverrideSetCause.REVERTED else None,
        )

    def _mayor_observed(self, entry: Entry) -> Sequence[Told]:
        _expect(entry, self._observed)
        after = _after(entry)
        if after == self._observed:
            raise ValueError("it was observed already")
        self._observed = after
        self.observations += 1
        pair = ModelPair(model=after["model"], small_model=after["smallModel"])
        return [ObservationTold(sequence=self.observations, pair=pair)]

    def _rig_registered(self, entry: Entry) -> Sequence[Told]:
        rig_id, name = entry.change.target_id, _text(_after(entry)["name"])
        known = self.rigs.get(rig_id)
        if self._whole or known is not None:
            _expect(entry, None if known is None else {"name": known.name, "removed": True})
            if known is not None and known.removed_at is None:
                raise ValueError("the rig is there already")
        first = entry.occurred_at if known is None else known.registered_at
        self.rigs[rig_id] = RigState(name=name, registered_at=first)
        return []

    def _rig_removed(self, entry: Entry) -> Sequence[Told]:
        rig_id = entry.change.target_id
        known = self.rigs.get(rig_id)
        if known is None and not self._whole:
            return []
        if known is None or known.removed_at is not None:
            raise ValueError("there is no such rig to remove")
        _expect(entry, {"name": known.name, "removed": False})
        known.removed_at = entry.occurred_at
        return []

    def _beads_synced(self, entry: Entry) -> Sequence[Told]:
        before, after = entry.change.before, _after(entry)
        if before is None or before.keys() != after.keys():
            raise ValueError("before and after tell of different beads")
        told = []
        for bead_id, record in after.items():
            was: Any = before[bead_id]
            if was == record:
                raise ValueError(f"the bead {bead_id} did not change")
            revised = was is None or {**was, "title": record["title"]} != record
            told.append(BeadTold(bead_id=bead_id, record=record, revised=revised))
        return told

    # ------------------------------------------------------------ the central chain

    def _profile_published(self, entry: Entry) -> Sequence[Told]:
        record = _after(entry)
        told = _profile(record)
        key = (told.owner, told.table.name)
        known = self.profiles.get(key)
        if self._whole or known is not None:
            before = entry.change.before
            own_first = known is None and told.owner != CENTRAL_CHAIN  # an import told of what came before
            if own_first and before is not None:
                known = before
            _expect(entry, known)
            if told.table.version != (0 if known is None else known["version"]) + 1:
                raise ValueError("its version is not the next")
        if (entry.change.version_before, entry.change.version_after) != (told.table.version - 1, told.table.version):
            raise ValueError("its versions are not those of the profile")
        self.profiles[key] = record
        return [told]

    def _models_registered(self, entry: Entry) -> Sequence[Told]:
        before, after = entry.change.before, _after(entry)
        if before is None or before.keys() != after.keys():
            raise ValueError("before and after tell of different models")
        for model_id, record in after.items():
            self._model_becomes(model_id, before[model_id], record, deprecated_at=None)
        return []

    def _model_deprecated(self, entry: Entry) -> Sequence[Told]:
        model_id = entry.change.target_id
        known = self.models.get(model_id)
        at = entry.occurred_at if known is None or known.deprecated_at is None else known.deprecated_at
        self._model_becomes(model_id, entry.change.before, _after(entry), deprecated_at=at)
        return []

    def _model_becomes(self, model_id: str, before: Any, after: Record, *, deprecated_at: datetime | None) -> None:
        known = self.models.get(model_id)
        if (self._whole or known is not None) and before != (None if known is None else known.record):
            raise ValueError(f"the model {model_id} was not {before}")
        if after["deprecated"] is not (deprecated_at is not None):
            raise ValueError(f"the model {model_id} can't have become {after}")
        self.models[model_id] = ModelState(record=after, deprecated_at=deprecated_at)


_BEGINNINGS: Final = (AuditAction.TOWN_CREATED, AuditAction.TOWN_IMPORTED)


def _after(entry: Entry) -> Record:
    if entry.change.after is None:
        raise ValueError("it does not tell what stood after it")
    return entry.change.after


def _expect(entry: Entry, before: Record | None) -> None:
    if before is not _UNKNOWN and entry.change.before != before:
        raise ValueError("what it says stood before is not what the entries before it left")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _rules(models_by_key: Mapping[str, str]) -> tuple[Rule, ...]:
    return tuple(Rule(key=RuleKey.read(spelling), model=model) for spelling, model in models_by_key.items())


def _profile(record: Record) -> ProfileTold:
    table = ProfileTable(
        name=record["name"],
        version=record["version"],
        small_model=record["smallModel"],
        rules=_rules(record["rules"]),
    )
    if table.content_hash != record["contentHash"]:
        raise ValueError("its content does not give its content hash")
    owner = CENTRAL_CHAIN if record["townId"] is None else _text(record["townId"])
    return ProfileTold(owner=owner, title=_text(record["title"]), table=table)
