"""Profile tables, and the three central profiles that Townclerk ships."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final

from models.domain.canonical import canonical_bytes
from models.domain.errors import (
    DuplicateRule,
    InvalidInput,
    InvalidModel,
    Problem,
    ProfileKnowsNoRigs,
    refuse_if_any,
)
from models.domain.rules import Rule, RuleKey, ordered
from models.domain.vocabulary import MAX_VERSION, OWN_PROFILE_PREFIX, Role, is_model_id, is_profile_name


@dataclass(frozen=True, kw_only=True)
class ProfileTable:
    """One version of a profile: its rules, most specific first, and the small model that goes with all of them.

    Raises `Refused` for a name, a version, a small model or rules that no profile can have.
    """

    name: str
    version: int
    small_model: str
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", ordered(self.rules))
        problems: list[Problem] = []
        if not is_profile_name(self.name):
            problems.append(InvalidInput(path=("name",), expected="a profile's name"))
        if not 1 <= self.version <= MAX_VERSION:
            problems.append(InvalidInput(path=("version",), expected=f"from 1 to {MAX_VERSION}"))
        if not is_model_id(self.small_model):
            problems.append(InvalidModel(model=self.small_model, path=("smallModel",)))
        if any(rule.key.rig_id is not None for rule in self.rules):
            problems.append(ProfileKnowsNoRigs(path=("rules",)))
        if len(self.models_by_key) < len(self.rules):
            problems.append(DuplicateRule(key=self.name, path=("rules",)))
        refuse_if_any(problems)

    @cached_property
    def models_by_key(self) -> dict[RuleKey, str]:
        return {rule.key: rule.model for rule in self.rules}

    @property
    def content_hash(self) -> str:
        """SHA-256 of the canonical content, hex: equal for equal rules and small model, whatever the version."""
        rules: dict[str, object] = {rule.key.spelling: rule.model for rule in self.rules}
        return hashlib.sha256(canonical_bytes({"rules": rules, "smallModel": self.small_model})).hexdigest()


def is_own(name: str) -> bool:
    """Whether `name` is that of a town's own profile rather than of a central one."""
    return name.startswith(OWN_PROFILE_PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedProfile:
    title: str
    table: ProfileTable


_OPUS: Final = "anthropic/claude-opus-4.7"
_SONNET: Final = "anthropic/claude-sonnet-4.6"
_HAIKU: Final = "anthropic/claude-haiku-4.5"

SHIPPED_MODELS: Final = MappingProxyType(
    {
        _OPUS: "Claude Opus 4.7",
        _SONNET: "Claude Sonnet 4.6",
        _HAIKU: "Claude Haiku 4.5",
        "kilo/kilo-auto/frontier": "Kilo Auto (frontier)",
    }
)


def _shipped(name: str, title: str, models: dict[RuleKey, str]) -> ShippedProfile:
    rules = tuple(Rule(key=key, model=model) for key, model in models.items())
    return ShippedProfile(title=title, table=ProfileTable(name=name, version=1, small_model=_HAIKU, rules=rules))


_ANY = RuleKey()
_MAYOR = RuleKey(role=Role.MAYOR)
_POLECAT = RuleKey(role=Role.POLECAT)
_REFINERY = RuleKey(role=Role.REFINERY)


def _polecat(label: str) -> RuleKey:
    return RuleKey(role=Role.POLECAT, label=label)


SHIPPED_PROFILES: Final = (
    _shipped(
        "frugal",
        "Frugal",
        {
            _ANY: _HAIKU,
            _MAYOR: _SONNET,
            _POLECAT: _SONNET,
            _polecat("gt:pr-fixup"): _HAIKU,
            _polecat("gt:pr-feedback"): _HAIKU,
            _polecat("gt:pr-conflict"): _HAIKU,
            _polecat("gt:rework"): _HAIKU,
            _polecat("gt:triage"): _HAIKU,
            _REFINERY: _HAIKU,
        },
    ),
    _shipped(
        "balanced",
        "Balanced",
        {
            _ANY: _SONNET,
            _MAYOR: _OPUS,
            _POLECAT: _SONNET,
            _polecat("gt:pr-fixup"): _HAIKU,
            _polecat("gt:triage"): _HAIKU,
            _REFINERY: _SONNET,
        },
    ),
    _shipped(
        "premium",
        "Premium",
        {
            _ANY: _OPUS,
            _MAYOR: _OPUS,
            _POLECAT: _OPUS,
            _polecat("gt:pr-fixup"): _SONNET,
            _polecat("gt:triage"): _SONNET,
            _REFINERY: _OPUS,
        },
    ),
)
