"""Override sets: a town's choices at one version, laid over one version of a profile."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from operator import attrgetter
from typing import Final

from models.domain.canonical import canonical_bytes
from models.domain.errors import DuplicateRule, InvalidInput, Refused
from models.domain.profiles import ProfileTable
from models.domain.rules import Rule, RuleKey
from models.domain.vocabulary import MAX_VERSION, Actor, Role

_BY_SORT_KEY: Final = attrgetter("rule.key.sort_key")


class RuleSource(StrEnum):
    """Where the rule that decided came from."""

    BEAD = "bead"
    OVERRIDE = "override"
    PROFILE = "profile"
    SYSTEM_DEFAULT = "system_default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A town's own rule, with what its profile said for the key when the override was first set (None: nothing)."""

    rule: Rule
    profile_model_when_set: str | None
    set_at: datetime
    set_by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveRule:
    """A row of the table that beads are resolved from, and the profile's rule that it replaces, if any."""

    rule: Rule
    source: RuleSource
    replaces: Rule | None = None


@dataclass(frozen=True, kw_only=True)
class OverrideSet:
    """Everything that a resolution depends on besides the task. Never changes once it has its version."""

    town_id: str
    version: int
    profile: ProfileTable
    honor_bead_models: bool
    overrides: tuple[Override, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.version <= MAX_VERSION:
            raise Refused(InvalidInput(path=("version",), expected=f"from 1 to {MAX_VERSION}"))
        if len(self.models_by_key) < len(self.overrides):
            places: dict[RuleKey, int] = {}
            keys = [override.rule.key for override in self.overrides]
            again = next(key for place, key in enumerate(keys) if places.setdefault(key, place) != place)
            raise Refused(DuplicateRule(key=again.spelling, path=("overrides",)))

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple([override.rule for override in self.overrides])

    @cached_property
    def models_by_key(self) -> dict[RuleKey, str]:
        return {override.rule.key: override.rule.model for override in self.overrides}

    @property
    def models(self) -> frozenset[str]:
        """Every model that the set and its profile name."""
        rules = (row.rule.model for row in self.effective_rules())
        return frozenset((self.profile.small_model, *rules))

    @property
    def content(self) -> dict[str, object]:
        """What the set says, without when and by whom: the basis of `content_hash` and of audit entries."""
        return {
            "profile": self.profile.name,
            "profileVersion": self.profile.version,
            "honorBeadModels": self.honor_bead_models,
            "overrides": {override.rule.key.spelling: override.rule.model for override in self.overrides},
        }

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the canonical content, hex."""
        return hashlib.sha256(canonical_bytes(self.content)).hexdigest()

    def effective_rules(self) -> tuple[EffectiveRule, ...]:
        """Profile and overrides laid over each other, most specific first: the same key replaces, a new key adds."""
        base = {rule.key: rule for rule in self.profile.rules}
        merged = {key: EffectiveRule(rule=rule, source=RuleSource.PROFILE) for key, rule in base.items()}
        for rule in self.rules:
            merged[rule.key] = EffectiveRule(rule=rule, source=RuleSource.OVERRIDE, replaces=base.get(rule.key))
        return tuple(sorted(merged.values(), key=_BY_SORT_KEY))

    def stale_keys(self) -> frozenset[RuleKey]:
        """Keys of overrides whose profile says another model now than when they were set."""
        now = self.profile.models_by_key
        return frozenset(
            override.rule.key
            for override in self.overrides
            if now.get(override.rule.key) != override.profile_model_when_set
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a town's next override set shall say. `renewed` keys count as set anew though they read the same."""

    profile: ProfileTable
    honor_bead_models: bool
    rules: tuple[Rule, ...]
    renewed: frozenset[RuleKey] = frozenset()


def first_set(town_id: str, choice: Choice, *, at: datetime, by: Actor) -> OverrideSet:
    """Version 1 of a town."""
    return OverrideSet(
        town_id=town_id,
        version=1,
        profile=choice.profile,
        honor_bead_models=choice.honor_bead_models,
        overrides=_set_anew(choice.rules, choice.profile, at=at, by=by),
    )


def next_set(current: OverrideSet, choice: Choice, *, at: datetime, by: Actor) -> OverrideSet:
    """The version after `current`.

    An override that reads as before keeps who set it, when, and what the profile said then; under another profile the
    last of these is asked anew. Everything else is new.
    """
    before = {override.rule.key: override for override in current.overrides}
    for key in choice.renewed:
        before.pop(key, None)
    now = choice.profile.models_by_key
    overrides = []
    for rule in choice.rules:
        override = before.get(rule.key)
        if override is None or override.rule.model != rule.model:
            override = Override(rule=rule, profile_model_when_set=now.get(rule.key), set_at=at, set_by=by)
        elif choice.profile.name != current.profile.name:
            override = replace(override, profile_model_when_set=now.get(rule.key))
        overrides.append(override)
    return OverrideSet(
        town_id=current.town_id,
        version=current.version + 1,
        profile=choice.profile,
        honor_bead_models=choice.honor_bead_models,
        overrides=tuple(sorted(overrides, key=_BY_SORT_KEY)),
    )


def _set_anew(rules: Iterable[Rule], profile: ProfileTable, *, at: datetime, by: Actor) -> tuple[Override, ...]:
    now = profile.models_by_key
    return tuple(
        Override(rule=rule, profile_model_when_set=now.get(rule.key), set_at=at, set_by=by)
        for rule in sorted(rules, key=lambda rule: rule.key.sort_key)
    )


def never_matches(key: RuleKey, keys: Iterable[RuleKey]) -> bool:
    """Whether no task can reach `key` in a table of `keys`.

    Only ``*@rig`` can be shut out: the mayor never looks at it, and polecats and refineries that have rules of their
    own (everywhere or in that rig) always find those first.
    """
    if key.role is not None or key.rig_id is None:
        return False
    table = set(keys)
    return all(
        RuleKey(role=role) in table or RuleKey(role=role, rig_id=key.rig_id) in table
        for role in (Role.POLECAT, Role.REFINERY)
    )
