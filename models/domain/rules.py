"""Rule keys and rules: what may be written down, how it is spelt, and how specific it is.

A rule maps a key ``(role?, label?, rig?)`` to a model. Nonsense can't be built: the constructors refuse it with
typed problems whose paths name the field (``label``, ``rigId``, ``model``).
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Final, Self

from models.domain.errors import (
    DuplicateRule,
    InvalidModel,
    LabelNeedsRole,
    MayorIsTownLevel,
    Problem,
    ProfileKnowsNoRigs,
    Refused,
    UnknownLabel,
    UnknownModel,
    UnknownRig,
    refuse_if_any,
)
from models.domain.vocabulary import PRECEDENCE, Role, is_id, is_model_id

ROLE_ORDER: Final[Mapping[Role | None, int]] = {Role.MAYOR: 0, Role.POLECAT: 1, Role.REFINERY: 2, None: 3}
ROLE_TITLE: Final[Mapping[Role | None, str]] = {
    Role.MAYOR: "Mayor",
    Role.POLECAT: "Polecat",
    Role.REFINERY: "Refinery",
    None: "Any role",
}

_KEYS: Final = 10_000  # that are kept, of less than a kilobyte each
_RULES: Final = 10_000  # likewise, of models that are registered or stored
_BY_SORT_KEY: Final = attrgetter("key.sort_key")

_SPELLING: Final = re.compile(r"(\*|mayor|polecat|refinery)(?:\[([^\]]+)\])?(?:@(.+))?")

SortKey = tuple[int, int, int, str]


@dataclass(frozen=True, kw_only=True)
class RuleKey:
    """What a rule applies to. Absent parts match anything.

    Raises `Refused` for what can never be a key: a label that no catalogue lists or that stands without a role,
    a mayor rule with a label or a rig, a rig id that is none.
    """

    role: Role | None = None
    label: str | None = None
    rig_id: str | None = None

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        if self.label is not None:
            if self.label not in PRECEDENCE:
                problems.append(UnknownLabel(label=self.label))
            if self.role is None:
                problems.append(LabelNeedsRole(label=self.label))
            if self.role is Role.MAYOR:
                problems.append(MayorIsTownLevel(path=("label",)))
        if self.rig_id is not None:
            if not is_id(self.rig_id):
                problems.append(UnknownRig(rig_id=self.rig_id))
            if self.role is Role.MAYOR:
                problems.append(MayorIsTownLevel(path=("rigId",)))
        refuse_if_any(problems)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.lookup)

    @cached_property
    def specificity(self) -> int:
        """4 for a role, 2 for a label, 1 for a rig: 0 (``*``) to 7. The higher one decides."""
        return 4 * (self.role is not None) + 2 * (self.label is not None) + (self.rig_id is not None)

    @cached_property
    def spelling(self) -> str:
        """The key in writing: ``polecat[gt:pr-fixup]@rig-1``, ``refinery``, ``*@rig-1``, ``*``."""
        label = f"[{self.label}]" if self.label is not None else ""
        rig = f"@{self.rig_id}" if self.rig_id is not None else ""
        return f"{self.role or '*'}{label}{rig}"

    @cached_property
    def title(self) -> str:
        """The key for people: ``Polecat — label: gt:pr-fixup, rig: web``."""
        if self.role is Role.MAYOR:
            return ROLE_TITLE[Role.MAYOR]
        parts = []
        if self.label is not None:
            parts.append(f"label: {self.label}")
        if self.rig_id is not None:
            parts.append(f"rig: {self.rig_id}")
        who = ROLE_TITLE[self.role]
        return f"{who} — {', '.join(parts)}" if parts else f"{who} (default)"

    @cached_property
    def sort_key(self) -> SortKey:
        """Most specific first; then mayor, polecat, refinery, any; then label precedence; then rig id."""
        label = PRECEDENCE[self.label] if self.label is not None else -1
        return (-self.specificity, ROLE_ORDER[self.role], label, self.rig_id or "")

    @classmethod
    def read(cls, spelling: str) -> Self:
        """The key that is spelt so. Raises `Refused`, or `ValueError` for what is no spelling of any key."""
        if (parts := _SPELLING.fullmatch(spelling)) is None:
            raise ValueError(f"{spelling!r} spells no rule's key")
        role, label, rig_id = parts.groups()
        return cls(role=None if role == "*" else Role(role), label=label, rig_id=rig_id)

    @property
    def lookup(self) -> tuple[Role | None, str | None, str | None]:
        return (self.role, self.label, self.rig_id)


@lru_cache(maxsize=_KEYS)
def rule_key(role: Role | None, label: str | None, rig_id: str | None) -> RuleKey:
    """The key of these parts, one for all the tables that it stands in: versions mostly repeat each other's keys."""
    return RuleKey(role=role, label=label, rig_id=rig_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A key and the model it maps to. Raises `Refused` where the model id is not well formed."""

    key: RuleKey
    model: str

    def __post_init__(self) -> None:
        if not is_model_id(self.model):
            raise Refused(InvalidModel(model=self.model))


@lru_cache(maxsize=_RULES)
def rule_of(key: RuleKey, model: str) -> Rule:
    """The rule of these parts, one for all the tables that it stands in: versions mostly repeat each other's rules."""
    return Rule(key=key, model=model)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftKey:
    """A key as someone typed it: nothing about it is known to be right yet."""

    role: Role | None = None
    label: str | None = None
    rig_id: str | None = None

    def key(self) -> RuleKey:
        """The key, if it is legal. Raises `Refused`."""
        return rule_key(self.role, self.label, self.rig_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRule(DraftKey):
    """A rule as someone typed it."""

    model: str


def ordered(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    return tuple(sorted(rules, key=_BY_SORT_KEY))


def check_profile_rules(drafts: Sequence[DraftRule], *, models: Collection[str]) -> tuple[Rule, ...]:
    """The rules of a profile, most specific first. Raises `Refused` with every problem, not just the first.

    `models` are the registered model ids. Paths begin with the rule's index.
    """
    return _checked(drafts, models=models, may_stand=_may_stand_in_a_profile)


def check_override_rules(
    drafts: Sequence[DraftRule], *, models: Collection[str], rigs: Collection[str], carried: Mapping[RuleKey, str]
) -> tuple[Rule, ...]:
    """The override rules of a town, most specific first. Raises `Refused` with every problem, not just the first.

    `rigs` are the town's rigs that are there now; `carried` are key and model of overrides that were legal when they
    were set and are merely kept, so that a rig's removal does not stand in the way of an unrelated change.
    """

    def may_stand(draft: DraftRule, key: RuleKey | None) -> list[Problem]:
        rig_id = draft.rig_id
        if rig_id is None or rig_id in rigs or not is_id(rig_id) or draft.role is Role.MAYOR:
            return []  # nothing to say of it, or said of its key already
        if key is not None and carried.get(key) == draft.model:
            return []
        return [UnknownRig(rig_id=rig_id)]

    return _checked(drafts, models=models, may_stand=may_stand)


def _may_stand_in_a_profile(draft: DraftRule, _key: RuleKey | None) -> list[Problem]:
    return [] if draft.rig_id is None or draft.role is Role.MAYOR else [ProfileKnowsNoRigs()]


def _checked(
    drafts: Sequence[DraftRule],
    *,
    models: Collection[str],
    may_stand: Callable[[DraftRule, RuleKey | None], list[Problem]],
) -> tuple[Rule, ...]:
    """The rules of one table. `may_stand` tells what is wrong in this very table with a draft and its key, if legal."""
    problems: list[Problem] = []
    places: dict[RuleKey, int] = {}
    for index, draft in enumerate(drafts):
        found = model_problems(draft.model, models=models)
        key = None
        try:
            key = draft.key()
        except Refused as refused:
            found.extend(refused.problems)
        found.extend(may_stand(draft, key))
        if key is not None and places.setdefault(key, index) != index:
            found.append(DuplicateRule(key=key.spelling))
        if found:
            problems.extend(problem.under(index) for problem in found)
    refuse_if_any(problems)
    return ordered([rule_of(key, drafts[place].model) for key, place in places.items()])


def model_problems(model: str, *, models: Collection[str], path: tuple[str, ...] = ("model",)) -> list[Problem]:
    """What is wrong with `model` as a choice: not well formed, or not among the registered `models`."""
    if model in models:
        return []  # what is registered is well formed
    problem = UnknownModel if is_model_id(model) else InvalidModel
    return [problem(model=model, path=path)]
