"""Which model a task runs on, and why: a table compiled once, then resolved by lookups.

A resolution is a pure function of an override set and a task. `compile_table` lays out everything that does not depend
on the task; `resolve` asks for at most ``2 x labels + 4`` keys; the full account of every rule considered is made only
when it is asked for.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Final, Self

from models.domain.errors import InvalidModel, Problem, UnknownRig, refuse_if_any
from models.domain.overrides import OverrideSet, RuleSource
from models.domain.rules import RuleKey
from models.domain.vocabulary import (
    SYSTEM_MODEL,
    BeadType,
    Role,
    effective_role,
    is_id,
    is_model_id,
    known_labels,
)

_CANDIDATES: Final = 10_000  # that are kept beyond the tables they stand in, of less than a kilobyte each

BEAD_SPECIFICITY: Final = 8
SYSTEM_SPECIFICITY: Final = -1


class RuleOutcome(StrEnum):
    """What became of a rule that was looked at."""

    MATCHED = "matched"
    LESS_SPECIFIC = "less_specific"
    REPLACED_BY_OVERRIDE = "replaced_by_override"
    LOST_TO_LABEL = "lost_to_label"
    LABEL_NOT_ON_BEAD = "label_not_on_bead"
    OTHER_RIG = "other_rig"
    OTHER_ROLE = "other_role"
    IGNORED_FOR_MAYOR = "ignored_for_mayor"
    BEAD_MODEL_NOT_HONORED = "bead_model_not_honored"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is known about a piece of work, as far as it counts: known labels only, each once, in order of precedence.

    `role` is None only for the dispatch-agnostic default, which has no task at all. Raises `Refused` for a rig id or a
    model that is none, and `ValueError` for labels out of order and for a default that knows of a task.
    """

    role: Role | None = None
    labels: tuple[str, ...] = ()
    rig_id: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        if self.rig_id is not None and not is_id(self.rig_id):
            problems.append(UnknownRig(rig_id=self.rig_id))
        if self.model is not None and not is_model_id(self.model):
            problems.append(InvalidModel(model=self.model))
        refuse_if_any(problems)
        if self.labels and self.labels != known_labels(self.labels):
            raise ValueError(f"labels must be known ones, each once, in order of precedence: {self.labels}")
        if self.role is None and (self.labels or self.rig_id or self.model):
            raise ValueError("without a role there is no task")

    @classmethod
    def of(
        cls,
        *,
        role: Role | None,
        bead_type: BeadType | None,
        labels: Sequence[str],
        rig_id: str | None,
        model: str | None,
    ) -> Self:
        """The task behind a bead or a description of one, with labels as the host sent them."""
        return cls(role=effective_role(role, bead_type), labels=known_labels(labels), rig_id=rig_id, model=model)

    @property
    def signature(self) -> str:
        """The task as one string: equal for beads that every table resolves alike. Neither ids nor labels hold a |."""
        return "|".join((self.role or "", ",".join(self.labels), self.rig_id or "", self.model or ""))

    @classmethod
    def from_signature(cls, signature: str) -> Self:
        role, labels, rig_id, model = signature.split("|")
        return cls(
            role=Role(role) if role else None,
            labels=tuple(labels.split(",")) if labels else (),
            rig_id=rig_id or None,
            model=model or None,
        )

    def lookups(self) -> Iterator[tuple[Role | None, str | None, str | None]]:
        """The keys that could match, most specific first, ties by label precedence."""
        if self.role is None or self.role is Role.MAYOR:
            if self.role is Role.MAYOR:
                yield (Role.MAYOR, None, None)
            yield (None, None, None)
            return
        if self.rig_id is not None:
            for label in self.labels:
                yield (self.role, label, self.rig_id)
        for label in self.labels:
            yield (self.role, label, None)
        if self.rig_id is not None:
            yield (self.role, None, self.rig_id)
        yield (self.role, None, None)
        if self.rig_id is not None:
            yield (None, None, self.rig_id)
        yield (None, None, None)


NO_TASK: Final = Task()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A rule as it takes part in resolutions, with everything about it that does not depend on the task.

    `rule_key` is None for the bead's own model and for the last resort, which no table holds.
    """

    source: RuleSource
    key: str
    title: str
    model: str
    specificity: int
    because: str
    rule_key: RuleKey | None = None
    replaced: bool = False


_SYSTEM: Final = Candidate(
    source=RuleSource.SYSTEM_DEFAULT,
    key="system",
    title="System default",
    model=SYSTEM_MODEL,
    specificity=SYSTEM_SPECIFICITY,
    because="system default",
)


def _bead_candidate(model: str) -> Candidate:
    return Candidate(
        source=RuleSource.BEAD,
        key="bead",
        title="The bead's own model",
        model=model,
        specificity=BEAD_SPECIFICITY,
        because="the bead's own model",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A rule that was looked at, and what became of it."""

    candidate: Candidate
    outcome: RuleOutcome


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """An override set compiled for resolving. Cacheable by (town, version) for ever: neither changes what it says."""

    town_id: str
    version: int
    profile_name: str
    profile_version: int
    small_model: str
    honor_bead_models: bool
    candidates: tuple[Candidate, ...]
    by_key: dict[tuple[Role | None, str | None, str | None], Candidate]


def compile_table(override_set: OverrideSet) -> Table:
    """Everything about `override_set` that resolving can use, laid out for lookups."""
    profile_because = f"profile {override_set.profile.name}"
    candidates: list[Candidate] = []
    by_key: dict[tuple[Role | None, str | None, str | None], Candidate] = {}
    for row in override_set.effective_rules():
        candidate = _candidate(row.rule.key, row.rule.model, row.source, profile_because)
        candidates.append(candidate)
        by_key[row.rule.key.lookup] = candidate
        if row.replaces is not None:
            candidates.append(
                _candidate(row.rule.key, row.replaces.model, RuleSource.PROFILE, profile_because, replaced=True)
            )
    return Table(
        town_id=override_set.town_id,
        version=override_set.version,
        profile_name=override_set.profile.name,
        profile_version=override_set.profile.version,
        small_model=override_set.profile.small_model,
        honor_bead_models=override_set.honor_bead_models,
        candidates=tuple(candidates),
        by_key=by_key,
    )


@lru_cache(maxsize=_CANDIDATES)
def _candidate(
    key: RuleKey, model: str, source: RuleSource, profile_because: str, *, replaced: bool = False
) -> Candidate:
    origin = "override" if source is RuleSource.OVERRIDE else profile_because
    return Candidate(
        source=source,
        key=key.spelling,
        title=key.title,
        model=model,
        specificity=key.specificity,
        because=f"{origin} “{key.title}”",
        rule_key=key,
        replaced=replaced,
    )


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """The answer for a task under a table: the model, the rule that decided, and on demand every rule considered."""

    table: Table
    task: Task
    matched: Candidate

    @property
    def model(self) -> str:
        return self.matched.model

    @property
    def small_model(self) -> str:
        return self.table.small_model

    @property
    def because(self) -> str:
        """One line for people: ``override “Polecat — label: gt:pr-fixup”``."""
        return self.matched.because

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.model, self.small_model)

    @cached_property
    def considered(self) -> tuple[Considered, ...]:
        """Every rule that was looked at, most specific first, with what became of it."""
        candidates: list[Candidate] = []
        if self.task.model is not None:
            own_won = self.matched.source is RuleSource.BEAD
            candidates.append(self.matched if own_won else _bead_candidate(self.task.model))
        candidates.extend(self.table.candidates)
        if self.matched.source is RuleSource.SYSTEM_DEFAULT:
            candidates.append(self.matched)
        return tuple(Considered(candidate=candidate, outcome=self._outcome(candidate)) for candidate in candidates)

    def _outcome(self, candidate: Candidate) -> RuleOutcome:  # noqa: PLR0911  # the first of the list that applies
        task = self.task
        for_mayor = task.role is Role.MAYOR
        if candidate.replaced:
            return RuleOutcome.REPLACED_BY_OVERRIDE
        key = candidate.rule_key
        if key is None:
            if candidate is self.matched:
                return RuleOutcome.MATCHED
            return RuleOutcome.IGNORED_FOR_MAYOR if for_mayor else RuleOutcome.BEAD_MODEL_NOT_HONORED
        if key.role is not None and key.role is not task.role:
            return RuleOutcome.OTHER_ROLE
        if key.rig_id is not None and for_mayor:
            return RuleOutcome.IGNORED_FOR_MAYOR
        if key.rig_id is not None and key.rig_id != task.rig_id:
            return RuleOutcome.OTHER_RIG
        if key.label is not None and key.label not in task.labels:
            return RuleOutcome.LABEL_NOT_ON_BEAD
        if candidate is self.matched:
            return RuleOutcome.MATCHED
        if candidate.specificity == self.matched.specificity:
            return RuleOutcome.LOST_TO_LABEL
        return RuleOutcome.LESS_SPECIFIC


def resolve(table: Table, task: Task) -> Resolution:
    """The model for `task`: its own where that is honoured, else the most specific rule's, else the last resort."""
    honored = table.honor_bead_models and task.role in {Role.POLECAT, Role.REFINERY}
    if honored and task.model is not None:
        return Resolution(table=table, task=task, matched=_bead_candidate(task.model))
    by_key = table.by_key
    for lookup in task.lookups():
        candidate = by_key.get(lookup)
        if candidate is not None:
            return Resolution(table=table, task=task, matched=candidate)
    return Resolution(table=table, task=task, matched=_SYSTEM)


@lru_cache(maxsize=1024)
def fingerprint(model: str, small_model: str) -> str:
    """Hex SHA-256 of the UTF-8 bytes of `model`, a line feed, `small_model`: equal ones start identical sessions."""
    return hashlib.sha256(f"{model}\n{small_model}".encode()).hexdigest()
